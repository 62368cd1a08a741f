package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// client is what every voter uses. It never follows redirects and gives up after ten seconds, far beyond the budget that
// the service must keep.
var client = &http.Client{
	Timeout:       10 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 200},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// voteAnswer is the JSON of POST /vote.
type voteAnswer struct {
	Status  string `json:"status"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
	Message string `json:"message"`
}

// cast sends one vote with a key, "" for none.
func cast(ctx context.Context, url, pet, key string) (int, voteAnswer, http.Header, error) {
	body, err := json.Marshal(map[string]string{"pet": pet})
	if err != nil {
		return 0, voteAnswer{}, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, voteAnswer{}, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, voteAnswer{}, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, voteAnswer{}, nil, err
	}
	var a voteAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return resp.StatusCode, a, resp.Header, fmt.Errorf("answer %q: %w", raw, err)
	}
	return resp.StatusCode, a, resp.Header, nil
}

// load sends votes at a constant rate, whatever becomes of them, until ctx ends; it returns when every answer is in.
// Every vote has a key of its own.
func (r *rig) load(ctx context.Context, perSecond int) *ledger {
	l := newLedger()
	var flying sync.WaitGroup
	start := time.Now()
	tick := time.NewTicker(max(time.Second/time.Duration(perSecond), time.Millisecond))
	defer tick.Stop()
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			flying.Wait()
			return l
		case <-tick.C:
			for due := int(time.Since(start).Seconds() * float64(perSecond)); sent < due; sent++ {
				pet := ballot.Choices()[sent%3]
				flying.Go(func() { l.send(r.vote.url("/vote"), pet) })
			}
		}
	}
}

func (l *ledger) send(url string, pet ballot.Choice) {
	key := uuid.Must(uuid.NewV7()).String()
	start := time.Now()
	status, answer, header, err := cast(context.Background(), url, string(pet), key)
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	switch {
	case err != nil:
		l.unknown[key] = true
		l.failures = append(l.failures, err.Error())
	case status == http.StatusOK && answer.ID == key:
		l.accepted[key] = pet
	case status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
		l.unknown[key] = true
	default:
		l.unknown[key] = true
		l.failures = append(l.failures, fmt.Sprintf("status %d, answer %+v", status, answer))
	}
}

// during runs do while votes come in, and returns the votes' ledger.
func (r *rig) during(perSecond int, do func()) *ledger {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan *ledger, 1)
	go func() { done <- r.load(ctx, perSecond) }()
	do()
	cancel()
	return <-done
}
