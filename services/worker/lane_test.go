package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/votestream"
)

// bench is a lane between two ends that a test holds. What happens is noted in its order.
type bench struct {
	lane
	stop, cut func() // the end of taking, and of what is in hand
	ended     chan struct{}

	store   chan struct{} // closed when the store is up
	connect func() error
	process func(ctx context.Context, ids string) error

	mu     sync.Mutex
	events []string
	reads  []read // handed out in turn; then reads wait
}

type read struct {
	batch []votestream.Delivery
	err   error
}

func (b *bench) note(event string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, event)
}

func (b *bench) Next(ctx context.Context) ([]votestream.Delivery, error) {
	b.note("read")
	if r, ok := b.nextRead(); ok {
		return r.batch, r.err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (b *bench) nextRead() (r read, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reads) == 0 {
		return read{}, false
	}
	r, b.reads = b.reads[0], b.reads[1:]
	return r, true
}

func (b *bench) Process(ctx context.Context, batch []votestream.Delivery) error {
	var ids []string
	for _, d := range batch {
		ids = append(ids, d.EntryID)
	}
	b.note("process " + strings.Join(ids, " "))
	if b.process == nil {
		return nil
	}
	return b.process(ctx, strings.Join(ids, " "))
}

// start runs the lane until the test stops it, at the latest at its end.
func (b *bench) start(t *testing.T) *bench {
	t.Helper()
	if b.store == nil {
		b.store = make(chan struct{})
		close(b.store)
	}
	b.lane = lane{
		source: b, step: b,
		storeUp: func(ctx context.Context) error {
			select {
			case <-b.store:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	b.lane.connect = func(context.Context) error {
		b.note("connect")
		if b.connect == nil {
			return nil
		}
		return b.connect()
	}
	stopping, stop := context.WithCancel(t.Context())
	work, cut := context.WithCancel(t.Context())
	b.stop, b.cut, b.ended = stop, cut, make(chan struct{})
	go func() { b.run(stopping, work); close(b.ended) }()
	t.Cleanup(func() { stop(); cut(); <-b.ended })
	return b
}

func (b *bench) want(t *testing.T, events ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.events, events) {
		t.Errorf("happened: %q, want %q", b.events, events)
	}
}

func TestNothingIsReadWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{store: make(chan struct{}), reads: []read{{batch: batch("1")}}}).start(t)
		time.Sleep(time.Hour)
		b.want(t, "connect")
		close(b.store)
		b.want(t, "connect", "read", "process 1", "read")
	})
}

func TestALaneThatWaitsForTheStoreCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{store: make(chan struct{})}).start(t)
		synctest.Wait()
		b.stop()
		<-b.ended
		b.want(t, "connect")
	})
}

func TestAfterAReadErrorTheLaneConnectsAgainAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{reads: []read{{batch: batch("1")}, {err: errAway}, {batch: batch("2")}}}).start(t)
		time.Sleep(5 * time.Second)
		b.want(t, "connect", "read", "process 1", "read", "connect", "read", "process 2", "read")
	})
}

// A Redis whose disk is full answers questions and refuses reads for the group, which are writes.
func TestReadsThatAreRefusedAgainAndAgainDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := make([]read, 10_000)
		for i := range refusals {
			refusals[i].err = errors.New("MISCONF Errors writing to the AOF file: No space left on device")
		}
		b := (&bench{reads: refusals}).start(t)
		time.Sleep(time.Minute)
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(refusals) - len(b.reads); n < 10 || n > 200 {
			t.Errorf("%d reads in a minute", n)
		}
	})
}

func TestAForeignKeyIsLookedAtEveryFewSecondsUntilItIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		b := (&bench{connect: func() error {
			if looks++; looks <= 3 {
				return votestream.ErrForeignKey
			}
			return nil
		}}).start(t)
		time.Sleep(2*pauseAfterRefusal + time.Second)
		b.want(t, "connect", "connect", "connect")
		time.Sleep(pauseAfterRefusal)
		b.want(t, "connect", "connect", "connect", "connect", "read")
	})
}

func TestALaneThatWaitsForAPersonCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{connect: func() error { return votestream.ErrForeignKey }}).start(t)
		synctest.Wait()
		start := time.Now()
		b.stop()
		if <-b.ended; time.Since(start) > 0 {
			t.Errorf("stopped after %v", time.Since(start))
		}
	})
}

func TestALaneThatIsStoppedFinishesWhatItHasInHandAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads: []read{{batch: append(batch("1"), newSuspect("2"))}, {batch: batch("3")}},
			process: func(ctx context.Context, _ string) error {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
				return ctx.Err()
			},
		}).start(t)
		synctest.Wait()
		b.stop()
		<-b.ended
		b.want(t, "connect", "read", "process 1", "process 2")
	})
}

func TestWhatIsInHandIsCutOffAtItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads:   []read{{batch: append(batch("1"), newSuspect("2"))}},
			process: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		}).start(t)
		synctest.Wait()
		b.stop()
		time.Sleep(time.Minute)
		select {
		case <-b.ended:
			t.Error("the lane ended with a batch in hand")
		default:
		}
		b.cut()
		<-b.ended
		b.want(t, "connect", "read", "process 1")
	})
}

func TestAPartThatFailsLeavesTheRestOfItsBatchForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads: []read{{batch: append(batch("1"), newSuspect("2"), newSuspect("3"))}, {batch: batch("4")}},
			process: func(_ context.Context, ids string) error {
				if ids == "2" {
					return errAway
				}
				return nil
			},
		}).start(t)
		b.want(t, "connect", "read", "process 1", "process 2", "read", "process 4", "read")
	})
}

// newSuspect is an entry that was handed out so often that it may be what kills workers.
func newSuspect(id string) votestream.Delivery {
	d := batch(id)[0]
	d.Deliveries = suspectAfter + 1
	return d
}

func TestSuspectsAreTriedAloneAndLast(t *testing.T) {
	last := batch("3")[0]
	last.Deliveries = suspectAfter // not yet one
	for name, c := range map[string]struct {
		batch []votestream.Delivery
		want  []string
	}{
		"nothing":       {nil, nil},
		"no suspects":   {append(batch("1", "2"), last), []string{"1 2 3"}},
		"some":          {append([]votestream.Delivery{newSuspect("1")}, append(batch("2"), newSuspect("4"), last)...), []string{"2 3", "1", "4"}},
		"only suspects": {[]votestream.Delivery{newSuspect("1"), newSuspect("2")}, []string{"1", "2"}},
	} {
		var got []string
		for _, part := range parts(c.batch) {
			var ids []string
			for _, d := range part {
				ids = append(ids, d.EntryID)
			}
			got = append(got, strings.Join(ids, " "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
