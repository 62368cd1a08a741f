package systemtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/voters"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

func TestPostgresUnavailableForTenSeconds(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	r := newRig(t)
	r.during(100, func() { r.elapse(time.Second) })
	r.audit()
	shown, err := r.tally()
	r.must(err)

	r.during(100, func() {
		r.must(r.Postgres.Kill())
		r.eventually(func() error {
			a, err := r.tally()
			if err == nil && (!a.Stale || a.Votes != shown.Votes) {
				err = fmt.Errorf("shown %+v", a)
			}
			return err
		})
		r.elapse(outage)
		a, err := r.tally()
		if err != nil || !a.Stale || a.Votes != shown.Votes || time.Since(a.AsOf) < outage {
			t.Errorf("during the outage the page shows %+v, %v", a, err)
		}
		for what, probe := range map[string]struct {
			service *platform.Service
			want    int
		}{
			"a result that serves an old tally":       {r.Result, http.StatusOK},
			"a worker without PostgreSQL":             {r.Worker, http.StatusServiceUnavailable},
			"a vote service that needs no PostgreSQL": {r.Vote, http.StatusOK},
		} {
			if err := wantStatus(probe.service.OpsURL("/readyz"), probe.want); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		r.must(r.Postgres.Start(t.Context()))
		r.eventually(func() error {
			a, err := r.tally()
			if err == nil && (a.Stale || a.Total <= shown.Total) {
				err = fmt.Errorf("shown %+v", a)
			}
			return err
		})
	})
	r.wantOnly(ledger.Accepted)
	r.audit()
}

func TestWithoutRedisVotesAreRefusedAndAcceptedAgainAfterwards(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct{ begin, end func(*rig) error }{
		"killed": {func(r *rig) error { return r.Redis.Kill() }, func(r *rig) error { return r.Redis.Start(r.t.Context()) }},
		"hung":   {func(r *rig) error { return r.Redis.Pause() }, func(r *rig) error { return r.Redis.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.during(100, func() {
				r.must(outage.begin(r))
				r.eventually(func() error { return wantStatus(r.Vote.OpsURL("/readyz"), http.StatusServiceUnavailable) })
				r.eventually(func() error {
					if r.ledger.Count(ledger.Refused) == 0 {
						return errors.New("no vote is refused")
					}
					return nil
				})
				if err := wantStatus(r.Vote.URL("/healthz"), http.StatusOK); err != nil {
					t.Errorf("liveness looks at Redis: %v", err)
				}
				r.must(outage.end(r))
				before := r.ledger.Count(ledger.Accepted)
				r.eventually(func() error {
					if r.ledger.Count(ledger.Accepted) == before {
						return errors.New("no vote is accepted again")
					}
					return nil
				})
			})
			r.wantOnly(ledger.Accepted, ledger.Refused) // an answer to each within the client's time
			r.audit()
		})
	}
}

func TestARedisThatIsFullRefusesVotesAndIsDrained(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *platform.Options) { o.Redis = func(c *servers.RedisConfig) { c.MaxMemory = "4mb" } })
	r.must(r.Worker.Stop(t.Context()))
	// As many votes as fit, past the service, which would take long for them on a busy machine.
	filler := strings.Repeat("x", 1<<10)
	for {
		err := r.RDB.XAdd(t.Context(), &redis.XAddArgs{Stream: votestream.Stream, Values: []any{
			"id", uuid.NewString(), "vote", "dogs", "cast_at", time.Now().UTC().Format(time.RFC3339Nano), "tracestate", filler,
		}}).Err()
		if redis.HasErrorPrefix(err, "OOM") {
			break
		}
		r.must(err)
	}
	r.eventually(func() error { return wantStatus(r.Vote.OpsURL("/readyz"), http.StatusServiceUnavailable) })
	r.during(100, func() {
		r.eventually(func() error {
			if r.ledger.Count(ledger.Refused) == 0 {
				return errors.New("no vote is refused")
			}
			return nil
		})
		r.must(r.Worker.Start(t.Context()))
		r.eventually(func() error {
			if r.ledger.Count(ledger.Accepted) == 0 {
				return errors.New("no vote is accepted")
			}
			return nil
		})
	})
	r.wantOnly(ledger.Accepted, ledger.Refused)
	r.drained()
	stored := r.stored()
	for _, a := range r.ledger.Answers() {
		if a.Status == ledger.Accepted && stored[a.Vote.String()] != a.Pet {
			t.Errorf("accepted vote %s is lost", a.Vote)
		}
	}
}

func TestServicesStartBeforeTheirDependencies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, s := range []*platform.Service{r.Vote, r.Worker, r.Result} {
		r.must(s.Kill())
	}
	r.must(errors.Join(r.Redis.Kill(), r.Postgres.Kill()))
	waiting := []*platform.Service{r.describe("vote"), r.describe("worker"), r.describe("result")}
	for _, s := range waiting {
		go func() { _ = s.Start(t.Context()) }() // returns when it is ready, which the end of the test looks at
	}
	r.eventually(func() error {
		for _, s := range waiting {
			if err := wantStatus(s.OpsURL("/healthz"), http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
	for _, s := range waiting {
		if err := wantStatus(s.OpsURL("/readyz"), http.StatusServiceUnavailable); err != nil {
			t.Error(err)
		}
	}
	r.must(errors.Join(r.Redis.Start(t.Context()), r.Postgres.Start(t.Context())))
	r.eventually(func() error {
		for _, s := range waiting {
			if err := wantStatus(s.OpsURL("/readyz"), http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
	r.Vote, r.Worker, r.Result = waiting[0], waiting[1], waiting[2]
	r.during(100, func() { r.elapse(time.Second) })
	r.audit()
}

// A database that answers and takes no writes must not look like one that is well.
func TestAWorkerThatCannotWriteSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	_, err := r.DB.Exec(ctx, `create function full_disk() returns trigger language plpgsql as
		$$ begin raise exception 'no space left on device' using errcode = '53100'; end $$;
		create trigger full_disk before insert on votes execute function full_disk()`)
	r.must(err)
	r.during(50, func() {
		r.eventually(func() error {
			err := r.Worker.Ready(ctx)
			if err == nil || !strings.Contains(err.Error(), "no space left on device") {
				return fmt.Errorf("readiness says %w", err)
			}
			return nil
		})
		if !strings.Contains(r.Worker.Log(), "no space left on device") {
			t.Error("the worker's log does not say why nothing is stored")
		}
		_, err := r.DB.Exec(ctx, `drop trigger full_disk on votes`)
		r.must(err)
	})
	r.audit()
	r.must(r.Worker.Ready(ctx))
}

func TestAStopDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.Postgres.Pause())
	r.eventually(func() error { return wantStatus(r.Worker.OpsURL("/readyz"), http.StatusServiceUnavailable) })
	r.must(errors.Join(r.Worker.Stop(t.Context()), r.Result.Stop(t.Context()))) // killed, with an error, after 30 s each
	r.must(r.Postgres.Resume())
}

func TestOneKeyAThousandTimesIsOneVote(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := uuid.Must(uuid.NewV7())
	cast := voters.NewClient(r.Vote.URL("/vote"), r.ledger.Began, 0)
	defer cast.Close()
	var all errgroup.Group
	all.SetLimit(50) // at a time
	for range 1000 {
		all.Go(func() error {
			r.ledger.Add(cast.Cast(t.Context(), key, ballot.Lizards))
			return nil
		})
	}
	r.must(all.Wait())
	r.wantOnly(ledger.Accepted, ledger.Refused)
	if st, accepted := r.drained(), r.ledger.Count(ledger.Accepted); st.Added < int64(accepted) || accepted == 0 {
		t.Errorf("%d entries, %d accepted", st.Added, accepted)
	}
	r.audit() // one vote, however often it was accepted
	if stored := r.stored(); len(stored) != 1 {
		t.Errorf("stored: %v", stored)
	}
}

func TestPoisonBetweenGoodVotesHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	poison := [][]any{
		{"nonsense", "1"},
		{"id", "no uuid", "vote", "dogs", "cast_at", time.Now().Format(time.RFC3339Nano)},
		{"id", uuid.NewString(), "vote", "birds", "cast_at", time.Now().Format(time.RFC3339Nano)},
		{"id", uuid.NewString(), "vote", "dogs", "cast_at", "yesterday"},
		{"id", uuid.NewString(), "vote", "dogs", "cast_at", "0001-01-01T00:00:00Z"},
	}
	r.during(200, func() {
		for _, values := range poison {
			r.must(r.RDB.XAdd(ctx, &redis.XAddArgs{Stream: votestream.Stream, Values: values}).Err())
			r.elapse(100 * time.Millisecond) // so that good votes come between
		}
	})
	st := r.drained()
	if st.Dead != int64(len(poison)) {
		t.Errorf("%d dead letters, want %d", st.Dead, len(poison))
	}
	r.wantOnly(ledger.Accepted)
	if got, want := len(r.stored()), r.ledger.Count(ledger.Accepted); got != want {
		t.Errorf("%d stored, %d accepted", got, want)
	}
	letters, err := r.Queue.ListDeadLetters(ctx, "", 10)
	r.must(err)
	want := []votestream.Reason{votestream.ReasonUndecodable, votestream.ReasonUndecodable, votestream.ReasonInvalid, votestream.ReasonUndecodable, votestream.ReasonInvalid}
	for i, letter := range letters {
		if letter.Reason != want[i] || letter.Error == "" {
			t.Errorf("letter %d: %+v, want reason %s", i, letter, want[i])
		}
	}
}

func TestAQueueOfAnOlderSystemIsToldAboutAndNotTouched(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, s := range []*platform.Service{r.Vote, r.Worker} {
		r.must(s.Kill())
	}
	r.must(r.RDB.Del(t.Context(), votestream.Stream).Err())
	r.must(r.RDB.RPush(t.Context(), votestream.Stream, "dogs").Err())
	worker := r.describe("worker")
	go func() { _ = worker.Start(t.Context()) }()
	r.eventually(func() error {
		resp, err := http.Get(worker.OpsURL("/readyz"))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var answer struct {
			Dependencies []struct {
				LastError string `json:"last_error"`
			} `json:"dependencies"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return err
		}
		for _, d := range answer.Dependencies {
			if d.LastError == votestream.ErrForeignKey.Error() {
				return nil
			}
		}
		return fmt.Errorf("readiness says %+v", answer)
	})
	r.must(r.RDB.Rename(t.Context(), votestream.Stream, "votes:old").Err())
	r.eventually(func() error { return worker.Ready(t.Context()) })
	r.must(r.Vote.Start(t.Context()))
	r.during(50, func() { r.elapse(500 * time.Millisecond) })
	r.audit()
}

func wantStatus(url string, want int) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s: status %d, want %d", url, resp.StatusCode, want)
	}
	return nil
}
