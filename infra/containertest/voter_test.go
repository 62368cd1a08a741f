//go:build containers

package containertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxAnswer is the service's budget for a vote, 2 s, and what a busy machine adds.
const maxAnswer = 3 * time.Second

// voter casts votes at a steady rate, each under a key of its own, and repeats each until it is accepted, as the page does;
// every tenth once more after that. So in the end every key must be counted, and once.
type voter struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	voting sync.WaitGroup

	mu       sync.Mutex
	accepted map[string]string // pet by key
	repeats  int
	slowest  time.Duration
	wrong    []string // what no voter should ever see
}

var pets = []string{"dogs", "cats", "lizards"}

// newVoter starts at once. Its votes are given up when ctx ends.
func newVoter(ctx context.Context, url string, perSecond int) *voter {
	start, stop := context.WithCancel(ctx)
	v := &voter{url: url + "/vote", stop: stop, accepted: make(map[string]string),
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	v.voting.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-start.Done():
				return
			case <-tick.C:
				v.voting.Go(func() { v.vote(ctx, i) })
			}
		}
	})
	return v
}

// finish casts no new votes and waits until those in progress are accepted.
func (v *voter) finish() {
	v.stop()
	v.voting.Wait()
}

func (v *voter) vote(ctx context.Context, i int) {
	key, pet := uuid.Must(uuid.NewV7()).String(), pets[i%len(pets)]
	for !v.cast(ctx, key, pet) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
			v.mu.Lock()
			v.repeats++
			v.mu.Unlock()
		}
	}
	if i%10 == 0 {
		v.cast(ctx, key, pet)
	}
}

// cast says whether the vote was accepted.
func (v *voter) cast(ctx context.Context, key, pet string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, strings.NewReader(fmt.Sprintf(`{"pet":%q}`, pet)))
	if err != nil {
		v.note(err.Error())
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	start := time.Now()
	resp, err := v.client.Do(req)
	if err != nil {
		return false // the service is being killed
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	took := time.Since(start)
	if took > maxAnswer {
		v.note(fmt.Sprintf("an answer took %v: %s", took, body))
	}
	var answer struct{ Status, ID string }
	err = json.Unmarshal(body, &answer)
	ok := err == nil && resp.StatusCode == http.StatusOK && answer.Status == "success" && answer.ID == key
	refused := err == nil && resp.StatusCode == http.StatusServiceUnavailable && answer.Status == "error" && resp.Header.Get("Retry-After") != ""
	if !ok && !refused {
		v.note(fmt.Sprintf("%s: %s", resp.Status, body))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slowest = max(v.slowest, took)
	if ok {
		v.accepted[key] = pet
	}
	return ok
}

func (v *voter) note(wrong string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong = append(v.wrong, wrong)
}
