package systemtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"petvote/infra/ledger"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// The books: accepted = stored + duplicates + dead-lettered + waiting + in flight, as the metrics tell them.
func TestTheBooksBalanceAfterRepeatedVotesAndPoison(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var repeats float64
	r.step("a vote sent a thousand times counts once", func(r *rig) {
		key := uuid.Must(uuid.NewV7())
		var all errgroup.Group
		all.SetLimit(50) // at a time
		for range 1000 {
			all.Go(func() error {
				r.cast(key, ballot.Lizards)
				return nil
			})
		}
		r.must(all.Wait())
		r.wantOnly(ledger.Accepted, ledger.Refused)
		st := r.drained()
		if accepted := r.ledger.Count(ledger.Accepted); st.Added < int64(accepted) || accepted < 2 {
			r.t.Errorf("%d entries, %d accepted", st.Added, accepted)
		}
		repeats = float64(st.Added - 1)
		r.audit()
		if stored := r.stored(); len(stored) != 1 {
			r.t.Errorf("stored: %v", stored)
		}
	})
	r.step("poison between good votes holds nothing up", func(r *rig) {
		// Several consumers dead-letter side by side, so their order is open. An entry is known by its time.
		now, later := time.Now().Format(time.RFC3339Nano), time.Now().Add(time.Second).Format(time.RFC3339Nano)
		want := map[string]votestream.Reason{
			"": votestream.ReasonUndecodable, now: votestream.ReasonUndecodable, later: votestream.ReasonInvalid,
			"yesterday": votestream.ReasonUndecodable, "0001-01-01T00:00:00Z": votestream.ReasonInvalid,
		}
		before := len(r.stored())
		r.during(200, func() {
			for _, fields := range [][]any{
				{"nonsense", "1"},
				{"id", "no uuid", "vote", "dogs", "cast_at", now},
				{"id", uuid.NewString(), "vote", "birds", "cast_at", later},
				{"id", uuid.NewString(), "vote", "dogs", "cast_at", "yesterday"},
				{"id", uuid.NewString(), "vote", "dogs", "cast_at", "0001-01-01T00:00:00Z"},
			} {
				r.must(r.enqueue(fields...))
				r.awaitAnswer(ledger.Accepted) // a good vote comes between
			}
		})
		if st := r.drained(); st.Dead != int64(len(want)) {
			r.t.Errorf("%d dead letters, want %d", st.Dead, len(want))
		}
		r.wantOnly(ledger.Accepted)
		if got, want := len(r.stored())-before, len(r.ledger.Answers()[r.judged:]); got != want {
			r.t.Errorf("%d stored, %d accepted", got, want)
		}
		letters, err := r.Queue.ListDeadLetters(r.t.Context(), "", 10)
		r.must(err)
		for _, letter := range letters {
			if at := letter.Fields["cast_at"]; letter.Reason != want[at] || letter.Error == "" {
				r.t.Errorf("letter %+v, want reason %s", letter, want[at])
			}
		}
	})
	r.bounce(r.Worker, 0) // the books are no worker's memory
	r.during(100, func() { r.awaitAnswer(ledger.Accepted) })
	r.drained()
	var vote, result []series
	r.eventually(func() error {
		vote, result = r.exported(r.Vote), r.exported(r.Result)
		accepted, duplicates := sum(vote, "petvote_books_accepted_total"), sum(result, "petvote_books_duplicates_total")
		dead := sum(vote, "petvote_books_dead_lettered_total")
		accounted := sum(result, "petvote_books_stored_total") + duplicates + dead +
			sum(vote, "petvote_stream_waiting") + sum(vote, "petvote_stream_in_flight")
		if accepted < 10 || accounted != accepted || duplicates != repeats || dead != 5 {
			return fmt.Errorf("accepted %v, accounted for %v; %v duplicates, want %v; %v dead-lettered, want 5",
				accepted, accounted, duplicates, repeats, dead)
		}
		return nil
	})
	worker := r.exported(r.Worker)
	for name, exported := range map[string][]series{
		"http_server_request_duration_seconds_count": vote, "messaging_client_operation_duration_seconds_count": vote,
		"petvote_breaker_state": vote, "petvote_dependency_up": vote, "petvote_queue_wait_seconds_count": worker,
		"petvote_batch_size_count": worker, "petvote_store_duration_seconds_count": worker,
		"petvote_pushes_total": result, "petvote_viewers": result,
		"petvote_push_duration_seconds_count": result, "go_goroutine_count": result,
	} {
		if !slices.ContainsFunc(exported, func(s series) bool { return s.metric == name }) {
			t.Errorf("no metric %s", name)
		}
	}
}
