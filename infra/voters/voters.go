// Package voters casts votes and watches results as people do: [Voters] send votes at a constant rate, without waiting
// for earlier answers, and a [Viewer] follows the results page's pushes.
package voters

import (
	"cmp"
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

	"petvote/infra/ledger"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

const (
	answerLimit = 5 * time.Second        // a voter's default time-out: well beyond the service's 2 s
	retryPause  = 300 * time.Millisecond // before the first retry, then twice as long each time, up to maxPause
	maxPause    = 3 * time.Second        // without it, all that an outage refused would be a storm at its end
	idleConns   = 512
	idleLimit   = time.Second // the services close an idle connection after 5 s, and an unused one after 2 s
)

// Options say how votes are cast.
type Options struct {
	URL     string              // of POST /vote
	Rate    int                 // votes per second
	Votes   int                 // casting ends after so many; 0: with Stop
	Retry   bool                // sends votes that were not accepted again, under the same key, as the page does
	Timeout time.Duration       // how long a voter waits for an answer; 0: 5 s
	Start   time.Time           // from which the answers' times are counted; zero: now
	Record  func(ledger.Answer) // receives every answer, from several goroutines; required
}

// Voters cast votes, each with a key of its own and the pets in turn.
type Voters struct {
	options Options
	client  *Client
	flying  sync.WaitGroup
	stop    context.CancelFunc // of casting
}

// Start starts casting. Votes in flight and their retries end with ctx.
func Start(ctx context.Context, o Options) *Voters {
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	casting, stop := context.WithCancel(ctx)
	v := &Voters{options: o, client: NewClient(o.URL, o.Start, o.Timeout), stop: stop}
	v.flying.Go(func() {
		began := time.Now()
		tick := time.NewTicker(max(time.Second/time.Duration(o.Rate), time.Millisecond))
		defer tick.Stop()
		for sent := 0; o.Votes == 0 || sent < o.Votes; {
			select {
			case <-casting.Done():
				return
			case <-tick.C:
				due := int(time.Since(began).Seconds() * float64(o.Rate))
				for ; sent < due && (o.Votes == 0 || sent < o.Votes); sent++ {
					pet := ballot.Choices()[sent%len(ballot.Choices())]
					v.flying.Go(func() { v.vote(ctx, pet) })
				}
			}
		}
	})
	return v
}

// Stop casts no more votes. Those in flight go on; Wait waits for them.
func (v *Voters) Stop() { v.stop() }

// Wait returns when casting has ended and every answer is in, those of retries too.
func (v *Voters) Wait() {
	v.flying.Wait()
	v.stop()
	v.client.Close()
}

func (v *Voters) vote(ctx context.Context, pet ballot.Choice) {
	key, pause := uuid.Must(uuid.NewV7()), retryPause
	for attempt := 1; ; attempt++ {
		a := v.client.Cast(ctx, key, pet)
		a.Attempt = attempt
		v.options.Record(a)
		if a.Status == ledger.Accepted || !v.options.Retry || wait.For(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// Client casts single votes.
type Client struct {
	url   string
	start time.Time
	http  *http.Client
}

// NewClient casts votes at the URL of POST /vote. The answers' times count from start. A timeout of 0 is 5 s.
func NewClient(url string, start time.Time, timeout time.Duration) *Client {
	return &Client{url: url, start: start, http: &http.Client{
		Timeout:       cmp.Or(timeout, answerLimit),
		Transport:     &http.Transport{MaxIdleConnsPerHost: idleConns, MaxIdleConns: idleConns, IdleConnTimeout: idleLimit},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Cast sends one vote and returns the answer.
func (c *Client) Cast(ctx context.Context, key uuid.UUID, pet ballot.Choice) ledger.Answer {
	a := ledger.Answer{Vote: key, Pet: pet, Attempt: 1, Sent: c.now()}
	code, header, body, err := c.post(ctx, key, pet)
	a.At, a.Code = c.now(), code
	var said struct {
		Status, ID, Entry, Message string
		TraceID                    string `json:"trace_id"`
	}
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		a.Status, a.Error = ledger.Refused, err.Error()
	case err != nil && code == 0:
		a.Status, a.Error = ledger.Unknown, err.Error()
	case err == nil && code == http.StatusOK && said.Status == "success" && said.ID == key.String():
		a.Status, a.TraceID, a.Entry = ledger.Accepted, said.TraceID, said.Entry
	case err == nil && (code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests) &&
		said.Status == "error" && header.Get("Retry-After") != "":
		a.Status, a.Error = ledger.Refused, said.Message
	default:
		a.Status, a.Error = ledger.Wrong, fmt.Sprintf("status %d: %s", code, body)
	}
	return a
}

// post returns status 0 if there was no complete answer.
func (c *Client) post(ctx context.Context, key uuid.UUID, pet ballot.Choice) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(`{"pet":"`+string(pet)+`"}`))
	if err != nil {
		return 0, nil, nil, err
	}
	request.GetBody = nil // else net/http would retry a request with a key by itself, and the ledger would miss it
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key.String())
	response, err := c.http.Do(request)
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

func (c *Client) now() float64 { return time.Since(c.start).Seconds() }
