package systemtest

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/wait"
)

// hurriedReceipts asks for receipts, 200 a second, and closes each connection after some milliseconds.
func (r *rig) hurriedReceipts(ctx context.Context) {
	ids := []string{uuid.NewString(), r.ledger.Answers()[0].Vote.String()} // an unknown vote and a stored one
	for i := 0; wait.For(ctx, 5*time.Millisecond) == nil; i++ {
		go func() {
			hurry, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(10))*time.Millisecond)
			defer cancel()
			request, err := http.NewRequestWithContext(hurry, http.MethodGet, r.Result.URL("/votes/"+ids[i%2]), nil)
			if err != nil {
				return
			}
			if response, err := client.Do(request); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}()
	}
}

func TestClientsThatLeaveDoNotKeepTheTallyStale(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.during(20, func() { r.awaitAnswer(ledger.Accepted) })
	r.audit()
	hurrying, rest := context.WithCancel(t.Context())
	defer rest()
	go r.hurriedReceipts(hurrying)
	for range 3 {
		r.must(r.Postgres.Kill())
		r.awaitTally(func(a tallyAnswer) bool { return a.Stale })
		r.must(r.Postgres.Start(t.Context()))
		back := time.Now()
		r.awaitTally(func(a tallyAnswer) bool { return !a.Stale && a.AsOf.After(back) })
		took := time.Since(back)
		t.Logf("the tally is fresh %v after PostgreSQL is back", took.Round(time.Millisecond))
		if took > 4*time.Second { // 2 s, with room for a busy machine; it was 8 and more
			t.Errorf("the tally is stale for %v", took)
		}
	}
	rest()
	r.audit()
}
