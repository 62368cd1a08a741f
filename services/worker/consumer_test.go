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

// bench is a consumer between a source and a step that a test controls. It notes the events in order.
type bench struct {
	stop  func()
	ended chan struct{}

	store   chan struct{} // closed when the store is up
	connect func() error
	process func(ctx context.Context, ids string) error

	mu     sync.Mutex
	events []string
	reads  []read // the results of the next reads; later ones block
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

func (b *bench) Hold(_ context.Context, batch []votestream.Delivery) ([]votestream.Delivery, error) {
	b.note("hold " + entryIDs(batch))
	return batch, nil
}

func (b *bench) Next(ctx context.Context, _ int, wait bool) ([]votestream.Delivery, error) {
	if !wait {
		return nil, nil
	}
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

func entryIDs(batch []votestream.Delivery) string {
	var ids []string
	for _, d := range batch {
		ids = append(ids, d.EntryID)
	}
	return strings.Join(ids, " ")
}

// start runs the consumer until the test stops it, at the latest at its end.
func (b *bench) start(t *testing.T) *bench {
	t.Helper()
	if b.store == nil {
		b.store = make(chan struct{})
		close(b.store)
	}
	c := consumer{
		source: b,
		process: func(ctx context.Context, batch []votestream.Delivery) error {
			b.note("process " + entryIDs(batch))
			if b.process == nil {
				return nil
			}
			return b.process(ctx, entryIDs(batch))
		},
		storeUp: func(ctx context.Context) error {
			select {
			case <-b.store:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		connect: func(context.Context) error {
			b.note("connect")
			if b.connect == nil {
				return nil
			}
			return b.connect()
		},
		size: newBatchSize(2000),
	}
	ctx, stop := context.WithCancel(t.Context())
	b.stop, b.ended = stop, make(chan struct{})
	go func() {
		consume(ctx, []consumer{c}, func() { b.note("drain") })
		close(b.ended)
	}()
	t.Cleanup(func() { stop(); <-b.ended })
	return b
}

func (b *bench) want(t *testing.T, events ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.events, events) {
		t.Errorf("events %q, want %q", b.events, events)
	}
}

func TestNothingIsReadWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{store: make(chan struct{}), reads: []read{{batch: batch("1")}}}).start(t)
		time.Sleep(time.Hour)
		b.want(t, "connect")
		close(b.store)
		b.want(t, "connect", "read", "process 1", "read")
	})
}

func TestAWaitingConsumerStopsAtOnce(t *testing.T) {
	for name, newBench := range map[string]func() *bench{
		"for the store":     func() *bench { return &bench{store: make(chan struct{})} },
		"for manual repair": func() *bench { return &bench{connect: func() error { return votestream.ErrForeignKey }} },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench().start(t)
			synctest.Wait()
			start := time.Now()
			b.stop()
			if <-b.ended; time.Since(start) > 0 {
				t.Errorf("waiting %s: stopped after %v", name, time.Since(start))
			}
			b.want(t, "connect", "drain")
		})
	}
}

func TestAfterAReadErrorTheConsumerConnectsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{reads: []read{{batch: batch("1")}, {err: errDown}, {batch: batch("2")}}}).start(t)
		time.Sleep(5 * time.Second)
		b.want(t, "connect", "read", "process 1", "read", "connect", "read", "process 2", "read")
	})
}

// A Redis whose disk is full answers queries but refuses reads for the group, which are writes.
func TestReadsThatFailAgainAndAgainDoNotSpin(t *testing.T) {
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

func TestAForeignKeyIsCheckedEveryFewSecondsUntilItIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks := 0
		b := (&bench{connect: func() error {
			if checks++; checks <= 3 {
				return votestream.ErrForeignKey
			}
			return nil
		}}).start(t)
		time.Sleep(2*pauseAfterConnect + time.Second)
		b.want(t, "connect", "connect", "connect")
		time.Sleep(pauseAfterConnect)
		b.want(t, "connect", "connect", "connect", "connect", "read")
	})
}

func TestAStoppedConsumerFinishesItsBatchAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads: []read{{batch: append(batch("1"), often("2"))}, {batch: batch("3")}},
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
		b.want(t, "connect", "read", "process 1", "drain", "process 2")
	})
}

func TestABatchInHandIsCutOffAtItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads:   []read{{batch: append(batch("1"), often("2"))}},
			process: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		}).start(t)
		synctest.Wait()
		start := time.Now()
		b.stop()
		if <-b.ended; time.Since(start) != finishTimeout {
			t.Errorf("stopped after %v, want %v", time.Since(start), finishTimeout)
		}
		b.want(t, "connect", "read", "process 1", "drain")
	})
}

func TestAFailedPartLeavesTheRestOfItsBatchForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := (&bench{
			reads: []read{{batch: append(batch("1"), often("2"), often("3"))}, {batch: batch("4")}},
			process: func(_ context.Context, ids string) error {
				if ids == "2" {
					return errDown
				}
				return nil
			},
		}).start(t)
		b.want(t, "connect", "read", "process 1", "process 2", "read", "process 4", "read")
	})
}

// often returns an entry that was delivered so often that it is quarantined.
func often(id string) votestream.Delivery {
	d := batch(id)[0]
	d.Deliveries = quarantineAfter + 1
	return d
}

// The connection may have led to a server that a failover has replaced, so the first retry does not wait.
func TestAnEntryThatTimesOutAloneWaitsOnlyAfterItsSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{reads: []read{{batch: batch("1")}}, process: func(context.Context, string) error {
			time.Sleep(storeTimeout)
			return context.DeadlineExceeded
		}}
		b.start(t)
		time.Sleep(2 * storeTimeout)
		b.want(t, "connect", "read", "process 1", "hold 1", "process 1", "read")
	})
}

func TestQuarantinedEntriesAreRetriedAloneAndLast(t *testing.T) {
	last := batch("3")[0]
	last.Deliveries = quarantineAfter // not yet quarantined
	mixed := []votestream.Delivery{often("1"), batch("2")[0], often("4"), last}
	for name, c := range map[string]struct {
		batch []votestream.Delivery
		want  []string
	}{
		"nothing": {nil, nil},
		"none":    {append(batch("1", "2"), last), []string{"1 2 3"}},
		"some":    {mixed, []string{"2 3", "1", "4"}},
		"all":     {[]votestream.Delivery{often("1"), often("2")}, []string{"1", "2"}},
	} {
		var got []string
		for _, part := range split(c.batch) {
			got = append(got, entryIDs(part))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
