package systemtest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

func withTwoQueues(o *platform.Options) { o.Queues, o.Proxies = 2, true }

// entered casts votes until one has entered by a queue, by its place.
func (r *rig) entered(place int) ledger.Answer {
	r.t.Helper()
	var a ledger.Answer
	r.eventually(func() error {
		if a = r.vote(ballot.Cats); !strings.HasPrefix(a.Entry, fmt.Sprintf("%d/", place)) {
			return fmt.Errorf("the votes enter at %s", a.Entry)
		}
		return nil
	})
	return a
}

// health is a service's answer to /readyz.
type health struct {
	Status       string
	Dependencies []struct {
		Name    string
		Up      bool
		ErrorAt time.Time `json:"last_error_at"`
	}
}

// degraded checks that a service is ready without one of its queues, and names it.
func (r *rig) degraded(s *platform.Service, queue int) error {
	var h health
	if err := r.get(s.OpsURL("/readyz"), &h); err != nil {
		return err
	}
	for _, d := range h.Dependencies {
		if place, ok := strings.CutPrefix(d.Name, "redis-"); ok && d.Up == (place == fmt.Sprint(queue)) {
			return fmt.Errorf("%s says %+v, want only redis-%d down", s.Name(), h, queue)
		}
	}
	if h.Status != "degraded" || len(h.Dependencies) < 2 {
		return fmt.Errorf("%s says %+v", s.Name(), h)
	}
	return nil
}

// failedAt is when a call or a ping of the vote service to a queue failed last.
func (r *rig) failedAt(queue int) (at time.Time) {
	r.t.Helper()
	var h health
	r.must(r.get(r.Vote.OpsURL("/readyz"), &h))
	for _, d := range h.Dependencies {
		if d.Name == fmt.Sprintf("redis-%d", queue) {
			at = d.ErrorAt
		}
	}
	return at
}

// allReady checks that no service lacks anything.
func (r *rig) allReady() error {
	for _, name := range platform.Services {
		var h health
		if err := r.get(r.Service(name).OpsURL("/readyz"), &h); err != nil || h.Status != "ready" {
			return fmt.Errorf("%s is %q, %w", name, h.Status, err)
		}
	}
	return nil
}

// state is that of a vote's receipt at an entry.
func (r *rig) state(vote uuid.UUID, entry string) (string, error) {
	var receipt struct {
		ID    uuid.UUID
		State string
	}
	err := r.get(r.Result.URL("/votes/"+vote.String()+"?entry="+url.QueryEscape(entry)), &receipt)
	if err == nil && receipt.ID != vote {
		err = fmt.Errorf("the receipt of another vote: %+v", receipt)
	}
	return receipt.State, err
}

// Each in its turn, either queue is lost for a while. No voter is refused, and what lay in it is counted afterwards.
func TestTheLossOfOneOfTwoQueuesRefusesNoVote(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTwoQueues)
	ctx := t.Context()
	const outage = 3 * time.Second
	r.eventually(r.allReady)

	// lost runs a fault of a queue under load, which the services of a list notice.
	lost := func(name string, place int, begin, end func() error, notice ...*platform.Service) {
		r.step(name, func(r *rig) {
			before := r.failedAt(1 - place)
			known := r.entered(place)
			r.during(100, func() {
				r.awaitAnswer(ledger.Accepted)
				r.must(begin())
				for _, s := range notice {
					r.eventually(func() error { return r.degraded(s, place) })
				}
				r.eventually(func() error { // a busy machine may refuse it
					if a := r.cast(known.Vote, known.Pet); !strings.HasPrefix(a.Entry, fmt.Sprintf("%d/", 1-place)) {
						return fmt.Errorf("sent again while its queue is lost, a vote got %+v", a)
					}
					return nil
				})
				r.elapse(outage)
				r.must(end())
				r.eventually(r.allReady)
				r.awaitAnswer(ledger.Accepted)
			})
			allowed := []ledger.Status{ledger.Accepted}
			if at := r.failedAt(1 - place); at.After(before) { // on a busy machine
				r.t.Logf("votes may be refused: the other queue failed too, at %v", at)
				allowed = append(allowed, ledger.Refused)
			}
			r.wantOnly(allowed...)
			r.audit()
		})
	}
	for place, server := range r.Redises {
		lost(server.Name()+" killed", place, server.Kill, starts(r, server), r.Vote, r.Worker)
		lost(server.Name()+" hung", place, server.Pause, server.Resume, r.Vote, r.Worker)
	}
	lost("redis2 full", 1, r.memory(1, "1mb"), r.memory(1, "256mb"), r.Vote)
	// Its answers are lost, so it takes the votes all the same, and they enter by the other one too.
	cut := platform.Toxic{Name: "cut", Type: "timeout", Stream: "downstream"}
	before, err := r.Standings(ctx)
	r.must(err)
	lost("redis cut off", 0,
		func() error { return r.Proxies.Disturb(platform.Vote, platform.Redis, cut) },
		func() error { return r.Proxies.Calm(ctx, platform.Vote, platform.Redis, cut) }, r.Vote)
	after, err := r.Standings(ctx)
	if err != nil || after.Duplicates-before.Duplicates < 2 { // one was sent again by the test
		t.Errorf("%d duplicates, %v: no vote entered by both queues", after.Duplicates-before.Duplicates, err)
	}

	r.step("receipts name the queue", func(r *rig) {
		r.must(r.Worker.Pause())
		waiting := []ledger.Answer{r.entered(0), r.entered(1)}
		for _, a := range waiting {
			if state, err := r.state(a.Vote, a.Entry); state != "queued" {
				r.t.Errorf("the vote at %s is %q, %v", a.Entry, state, err)
			}
		}
		r.must(r.Worker.Resume())
		for _, a := range waiting {
			r.eventually(func() error {
				if state, err := r.state(a.Vote, a.Entry); state != "counted" && state != "shown" {
					return fmt.Errorf("the vote at %s is %q, %w", a.Entry, state, err)
				}
				return nil
			})
		}
		r.audit()
	})

	// Queues number their entries by their clocks, so equal ones happen.
	r.step("equal entry ids", func(r *rig) {
		before, err := r.Standings(ctx)
		r.must(err)
		r.must(r.Worker.Pause())
		first := time.Now().Add(time.Second).UnixMilli()
		add := func(place, sequence int, vote uuid.UUID) {
			r.must(r.RDBs[place].XAdd(ctx, &redis.XAddArgs{Stream: votestream.Stream, ID: fmt.Sprintf("%d-%d", first, sequence),
				Values: []any{"id", vote.String(), "vote", "dogs", "cast_at", time.Now().UTC().Format(time.RFC3339Nano)}}).Err())
		}
		same, one, other := uuid.New(), uuid.New(), uuid.New()
		add(0, 0, same)
		add(1, 0, same)
		add(0, 1, one)
		add(1, 1, other)
		for place, vote := range []uuid.UUID{one, other} {
			if state, err := r.state(vote, fmt.Sprintf("%d/%d-1", place, first)); state != "queued" {
				r.t.Errorf("the vote in queue %d is %q, %v", place, state, err)
			}
		}
		r.must(r.Worker.Resume())
		r.auditBeside(3)
		after, err := r.Standings(ctx)
		if err != nil || after.Added-before.Added != 4 || after.Duplicates-before.Duplicates != 1 {
			r.t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
	})
	r.step("both lost", func(r *rig) {
		r.must(errors.Join(r.Redises[0].Kill(), r.Redises[1].Kill()))
		r.eventually(func() error { return r.wantStatus(r.Vote.OpsURL("/readyz"), 503) })
		if a := r.cast(uuid.New(), ballot.Dogs); a.Status != ledger.Refused {
			r.t.Errorf("%+v", a)
		}
		r.must(errors.Join(r.Redises[0].Start(ctx), r.Redises[1].Start(ctx)))
		r.eventually(r.allReady)
		r.auditBeside(3)
	})
}
