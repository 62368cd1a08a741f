package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/voters"
)

// client never follows redirects and gives up after thirty seconds, far beyond the budget that the service must keep.
var client = &http.Client{
	Timeout:       30 * time.Second,
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

// cast sends one vote past the ledger, with a key, "" for none.
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

// during runs do while votes come in, and returns when the last of them is answered.
func (r *rig) during(perSecond int, do func()) {
	r.t.Helper()
	v := voters.Start(r.t.Context(), voters.Options{
		URL: r.Vote.URL("/vote"), Rate: perSecond, Timeout: 30 * time.Second, Start: r.ledger.Began, Record: r.ledger.Add,
	})
	defer v.Finish()
	do()
}

// wantOnly fails the test if a voter got an answer of another kind.
func (r *rig) wantOnly(allowed ...ledger.Status) {
	r.t.Helper()
	for _, a := range r.ledger.Answers() {
		if !slices.Contains(allowed, a.Status) {
			r.t.Errorf("a voter got an answer that is not one of %v: %+v", allowed, a)
			return
		}
	}
}
