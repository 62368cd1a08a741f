package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

func TestPostgresAwayForTenSeconds(t *testing.T) {
	r := newRig(t)
	before := r.during(100, func() { time.Sleep(time.Second) })
	r.audit(before)
	shown, err := r.tally()
	r.must(err)

	l := r.during(200, func() {
		r.must(r.postgres.Kill())
		r.eventually(4*time.Second, func() error {
			a, err := r.tally()
			if err == nil && (!a.Stale || a.Votes != shown.Votes) {
				err = fmt.Errorf("shown %+v", a)
			}
			return err
		})
		time.Sleep(8 * time.Second) // the outage
		a, err := r.tally()
		if err != nil || !a.Stale || a.Votes != shown.Votes || time.Since(a.AsOf) < 8*time.Second {
			t.Errorf("during the outage the page shows %+v, %v", a, err)
		}
		if code := r.status(r.result.opsURL("/readyz")); code != http.StatusOK {
			t.Errorf("a result that serves an old tally is not ready: %d", code)
		}
		if code := r.status(r.worker.opsURL("/readyz")); code != http.StatusServiceUnavailable {
			t.Errorf("a worker without PostgreSQL says %d", code)
		}
		if code := r.status(r.vote.opsURL("/readyz")); code != http.StatusOK {
			t.Errorf("a vote service that needs no PostgreSQL says %d", code)
		}
		r.must(r.postgres.Start(t.Context()))
		back := time.Now()
		r.eventually(5*time.Second, func() error {
			a, err := r.tally()
			if err == nil && (a.Stale || a.Total <= shown.Total) {
				err = fmt.Errorf("shown %+v", a)
			}
			return err
		})
		t.Logf("the page was current %v after PostgreSQL was back", time.Since(back).Round(time.Millisecond))
	})
	if len(l.unknown) > 0 {
		t.Errorf("%d votes were refused because PostgreSQL was away", len(l.unknown))
	}
	for id, pet := range before.accepted {
		l.accepted[id] = pet
	}
	r.audit(l)
}

func TestWithoutRedisVotesAreRefusedAtOnceAndAcceptedSoonAfter(t *testing.T) {
	outages := map[string]struct{ begin, end func(*rig) error }{
		"killed": {func(r *rig) error { return r.redis.Kill() }, func(r *rig) error { return r.redis.Start(r.t.Context()) }},
		"hung":   {func(r *rig) error { return r.redis.Pause() }, func(r *rig) error { return r.redis.Resume() }},
	}
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			l := r.during(100, func() {
				r.must(outage.begin(r))
				r.eventually(4*time.Second, func() error { return wantStatus(r.vote.opsURL("/readyz"), http.StatusServiceUnavailable) })
				start := time.Now()
				status, answer, header, err := cast(t.Context(), r.vote.url("/vote"), "dogs", "")
				if took := time.Since(start); err != nil || status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || answer.Status != "error" {
					t.Errorf("%d %+v %v after %v", status, answer, err, took)
				}
				if err := wantStatus(r.vote.url("/healthz"), http.StatusOK); err != nil {
					t.Errorf("liveness looks at Redis: %v", err)
				}
				r.must(outage.end(r))
				back := time.Now()
				r.eventually(2*time.Second, func() error {
					status, _, _, err := cast(t.Context(), r.vote.url("/vote"), "cats", "")
					if err == nil && status != http.StatusOK {
						err = fmt.Errorf("status %d", status)
					}
					return err
				})
				t.Logf("votes were accepted %v after Redis was back", time.Since(back).Round(time.Millisecond))
			})
			if len(l.failures) > 0 {
				t.Errorf("answers that no voter should see: %v", l.failures[:min(5, len(l.failures))])
			}
			if l.slowest > 2500*time.Millisecond {
				t.Errorf("the slowest answer took %v, the budget is 2 s", l.slowest)
			}
			r.drained(20 * time.Second)
			stored := r.stored()
			for id := range l.accepted {
				if stored[id] == "" {
					t.Errorf("accepted vote %s is lost", id)
				}
			}
		})
	}
}

func TestARedisThatIsFullRefusesVotesAndIsDrained(t *testing.T) {
	r := newRig(t, func(s *setup) { s.redis = func(c *servers.RedisConfig) { c.MaxMemory = "4mb" } })
	r.must(r.worker.Stop(t.Context()))
	l := newLedger()
	r.eventually(30*time.Second, func() error {
		for range 500 {
			l.send(r.vote.url("/vote"), ballot.Cats)
			if len(l.unknown) > 0 {
				return nil
			}
		}
		return errors.New("Redis takes ever more")
	})
	if len(l.failures) > 0 {
		t.Fatalf("refused otherwise than by 503 with Retry-After: %v", l.failures)
	}
	if err := wantStatus(r.vote.opsURL("/readyz"), http.StatusServiceUnavailable); err != nil {
		r.eventually(2*time.Second, func() error { return wantStatus(r.vote.opsURL("/readyz"), http.StatusServiceUnavailable) })
	}
	r.must(r.worker.Start(t.Context()))
	r.drained(20 * time.Second)
	r.eventually(2*time.Second, func() error {
		status, _, _, err := cast(t.Context(), r.vote.url("/vote"), "cats", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	stored := r.stored()
	for id := range l.accepted {
		if stored[id] == "" {
			t.Errorf("accepted vote %s is lost", id)
		}
	}
}

func TestServicesStartBeforeTheirDependencies(t *testing.T) {
	r := newRig(t)
	for _, s := range []*service{r.vote, r.worker, r.result} {
		r.must(s.Kill())
	}
	r.must(errors.Join(r.redis.Kill(), r.postgres.Kill()))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	waiting := []*service{r.describe("vote"), r.describe("worker"), r.describe("result")}
	for _, s := range waiting {
		go func() { _ = s.Start(t.Context()) }() // returns when it is ready, which the end of the test looks at
	}
	r.eventually(5*time.Second, func() error {
		for _, s := range waiting {
			if err := wantStatus(s.opsURL("/healthz"), http.StatusOK); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	for _, s := range waiting {
		if err := wantStatus(s.opsURL("/readyz"), http.StatusServiceUnavailable); err != nil {
			t.Error(err)
		}
	}
	r.must(errors.Join(r.redis.Start(t.Context()), r.postgres.Start(t.Context())))
	r.eventually(10*time.Second, func() error {
		for _, s := range waiting {
			if err := wantStatus(s.opsURL("/readyz"), http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
	r.vote, r.worker, r.result = waiting[0], waiting[1], waiting[2]
	r.audit(r.during(100, func() { time.Sleep(time.Second) }))
}

// A database that answers and takes no writes must not look like one that is well.
func TestAWorkerThatCannotWriteSaysSo(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, r.postgres.URL())
	r.must(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `create function full_disk() returns trigger language plpgsql as
		$$ begin raise exception 'no space left on device' using errcode = '53100'; end $$;
		create trigger full_disk before insert on votes execute function full_disk()`)
	r.must(err)
	l := r.during(50, func() {
		r.eventually(10*time.Second, func() error {
			err := ready(ctx, r.worker)
			if err == nil || !strings.Contains(err.Error(), "no space left on device") {
				return fmt.Errorf("readiness says %w", err)
			}
			return nil
		})
		if !strings.Contains(r.worker.Log(), "no space left on device") {
			t.Error("the worker's log does not say why nothing is stored")
		}
		_, err = conn.Exec(ctx, `drop trigger full_disk on votes`)
		r.must(err)
	})
	r.audit(l)
	r.must(ready(ctx, r.worker))
}

func TestAStopDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	r := newRig(t)
	r.must(r.postgres.Pause())
	r.eventually(5*time.Second, func() error { return wantStatus(r.worker.opsURL("/readyz"), http.StatusServiceUnavailable) })
	for name, s := range map[string]*service{"worker": r.worker, "result": r.result} {
		start := time.Now()
		r.must(s.Stop(t.Context()))
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	r.must(r.postgres.Resume())
}

func TestOneKeyAThousandTimesIsOneVote(t *testing.T) {
	r := newRig(t)
	key := uuid.NewString()
	failed := make(chan error, 1000)
	for range 1000 {
		go func() {
			status, answer, _, err := cast(t.Context(), r.vote.url("/vote"), "lizards", key)
			if err == nil && (status != http.StatusOK || answer.ID != key) {
				err = fmt.Errorf("status %d, answer %+v", status, answer)
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	st := r.drained(10 * time.Second)
	if st.Added != 1000 {
		t.Errorf("%d entries, want 1,000", st.Added)
	}
	r.eventually(3*time.Second, func() error {
		a, err := r.tally()
		if err == nil && a.Votes != (ballot.Counts{Lizards: 1}) {
			err = fmt.Errorf("tally %+v", a)
		}
		return err
	})
}

func TestPoisonBetweenGoodVotesHoldsNothingUp(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	poison := [][]any{
		{"nonsense", "1"},
		{"id", "no uuid", "vote", "dogs", "cast_at", time.Now().Format(time.RFC3339Nano)},
		{"id", uuid.NewString(), "vote", "birds", "cast_at", time.Now().Format(time.RFC3339Nano)},
		{"id", uuid.NewString(), "vote", "dogs", "cast_at", "yesterday"},
		{"id", uuid.NewString(), "vote", "dogs", "cast_at", "0001-01-01T00:00:00Z"},
	}
	l := r.during(200, func() {
		for _, values := range poison {
			r.must(r.rdb.XAdd(ctx, &redis.XAddArgs{Stream: votestream.Stream, Values: values}).Err())
			time.Sleep(100 * time.Millisecond) // so that good votes come between
		}
	})
	st := r.drained(10 * time.Second)
	if st.Dead != int64(len(poison)) {
		t.Errorf("%d dead letters, want %d", st.Dead, len(poison))
	}
	if got := len(r.stored()); got != len(l.accepted) || len(l.unknown) > 0 {
		t.Errorf("%d stored, %d accepted, %d unknown", got, len(l.accepted), len(l.unknown))
	}
	letters, err := r.queue.DeadLetters(ctx, "", 10)
	r.must(err)
	want := []votestream.Reason{votestream.ReasonUndecodable, votestream.ReasonUndecodable, votestream.ReasonInvalid, votestream.ReasonUndecodable, votestream.ReasonInvalid}
	for i, letter := range letters {
		if letter.Reason != want[i] || letter.Error == "" {
			t.Errorf("letter %d: %+v, want reason %s", i, letter, want[i])
		}
	}
}

func TestAQueueOfAnOlderSystemIsToldAboutAndNotTouched(t *testing.T) {
	r := newRig(t)
	for _, s := range []*service{r.vote, r.worker} {
		r.must(s.Kill())
	}
	r.must(r.rdb.Del(t.Context(), votestream.Stream).Err())
	r.must(r.rdb.RPush(t.Context(), votestream.Stream, "dogs").Err())
	worker := r.describe("worker")
	go func() { _ = worker.Start(t.Context()) }()
	r.eventually(5*time.Second, func() error {
		resp, err := http.Get(worker.opsURL("/readyz"))
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
	r.must(r.rdb.Rename(t.Context(), votestream.Stream, "votes:old").Err())
	r.eventually(10*time.Second, func() error { return ready(t.Context(), worker) })
	r.must(r.vote.Start(t.Context()))
	r.audit(r.during(50, func() { time.Sleep(500 * time.Millisecond) }))
}

func (r *rig) status(url string) int {
	r.t.Helper()
	resp, err := http.Get(url)
	r.must(err)
	_ = resp.Body.Close()
	return resp.StatusCode
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
