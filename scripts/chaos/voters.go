package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// status is what a voter knows after an attempt.
type status string

const (
	accepted status = "accepted"
	refused  status = "refused" // 503, or nobody listened
	unknown  status = "unknown" // no answer in time, or the connection was cut: it may have been accepted
	wrong    status = "wrong"   // an answer that no voter should ever see
)

// answer is one attempt and what came of it. Times are seconds since the scenario began.
type answer struct {
	Vote    uuid.UUID     `json:"vote"`
	Pet     ballot.Choice `json:"pet"`
	Attempt int           `json:"attempt"` // from 1
	Sent    float64       `json:"sent"`
	At      float64       `json:"at"`
	Status  status        `json:"status"`
	Code    int           `json:"code,omitempty"` // HTTP status; 0: there was no answer
	TraceID string        `json:"trace_id,omitempty"`
	Error   string        `json:"error,omitempty"`
}

const (
	answerLimit = 5 * time.Second // how long a voter waits: well beyond the service's 2 s
	retryAfter  = 300 * time.Millisecond
)

// voters cast votes at a constant rate, whatever becomes of those before, each with a key of its own.
type voters struct {
	url    string
	retry  bool
	client *http.Client
	start  time.Time
	log    *answerLog
	flying sync.WaitGroup
	stop   context.CancelFunc // of casting

	mu      sync.Mutex
	answers []answer
}

// newVoters starts at once. Votes in flight and their repetitions end with ctx.
func newVoters(ctx context.Context, base string, rate int, retry bool, start time.Time, log *answerLog) *voters {
	casting, stop := context.WithCancel(ctx)
	v := &voters{url: base + "/vote", retry: retry, start: start, log: log, stop: stop,
		client: &http.Client{Timeout: answerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 512}}}
	v.flying.Go(func() {
		tick := time.NewTicker(max(time.Second/time.Duration(rate), time.Millisecond))
		defer tick.Stop()
		for sent := 0; ; {
			select {
			case <-casting.Done():
				return
			case <-tick.C:
				for due := int(time.Since(start).Seconds() * float64(rate)); sent < due; sent++ {
					pet := ballot.Choices()[sent%len(ballot.Choices())]
					v.flying.Go(func() { v.vote(ctx, uuid.Must(uuid.NewV7()), pet) })
				}
			}
		}
	})
	return v
}

// finish casts no more and waits for every answer, of repetitions too.
func (v *voters) finish() {
	v.stop()
	v.flying.Wait()
	v.client.CloseIdleConnections()
}

// snapshot are the answers so far.
func (v *voters) snapshot() []answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.answers[:len(v.answers):len(v.answers)]
}

func (v *voters) vote(ctx context.Context, id uuid.UUID, pet ballot.Choice) {
	for attempt := 1; ; attempt++ {
		a := v.cast(ctx, id, pet)
		a.Attempt = attempt
		v.log.add(a)
		v.mu.Lock()
		v.answers = append(v.answers, a)
		v.mu.Unlock()
		if a.Status == accepted || !v.retry {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
}

func (v *voters) cast(ctx context.Context, id uuid.UUID, pet ballot.Choice) answer {
	a := answer{Vote: id, Pet: pet, Sent: v.now()}
	code, header, body, err := v.post(ctx, id, pet)
	a.At, a.Code = v.now(), code
	var said struct {
		Status, ID, Message string
		TraceID             string `json:"trace_id"`
	}
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		a.Status, a.Error = refused, err.Error()
	case err != nil && code == 0:
		a.Status, a.Error = unknown, err.Error()
	case err == nil && code == http.StatusOK && said.Status == "success" && said.ID == id.String():
		a.Status, a.TraceID = accepted, said.TraceID
	case err == nil && code == http.StatusServiceUnavailable && said.Status == "error" && header.Get("Retry-After") != "":
		a.Status, a.Error = refused, said.Message
	default:
		a.Status, a.Error = wrong, fmt.Sprintf("status %d: %s", code, body)
	}
	return a
}

// post returns status 0 where there was no whole answer.
func (v *voters) post(ctx context.Context, id uuid.UUID, pet ballot.Choice) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, strings.NewReader(`{"pet":"`+string(pet)+`"}`))
	if err != nil {
		return 0, nil, nil, err
	}
	request.GetBody = nil // else net/http would repeat a request with a key by itself, and the log would not know
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", id.String())
	response, err := v.client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil, err
	}
	return response.StatusCode, response.Header, body, nil
}

func (v *voters) now() float64 { return time.Since(v.start).Seconds() }
