package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

// reader notes when it was asked to read the tally, and for which traces.
type reader struct {
	mu    sync.Mutex
	start time.Time
	times []time.Duration // since start
	asked [][]string      // the traces behind each
	err   error
	takes time.Duration
}

func (r *reader) Refresh(_ context.Context, n votestore.Notice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Since(r.start))
	var traces []string
	for _, tc := range n.Traces {
		traces = append(traces, tc.Parent)
	}
	r.asked = append(r.asked, traces)
	time.Sleep(r.takes)
	return r.err
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// reads returns the times of the reads so far and forgets them.
func (r *reader) reads() (times []time.Duration, asked [][]string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	times, asked = r.times, r.asked
	r.times, r.asked = nil, nil
	return times, asked
}

// pushing runs a feed's reading side until the test's end.
func pushing(t *testing.T, r *reader) *tallyWatcher {
	t.Helper()
	f := newTallyWatcher(r, nil, nil)
	r.start = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.push(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("push ended with %v", err)
		}
	})
	return f
}

// notice is one of some votes' traces.
func notice(traces ...string) votestore.Notice {
	var n votestore.Notice
	for _, tc := range traces {
		n.Traces = append(n.Traces, tracecontext.TraceContext{Parent: tc})
	}
	return n
}

// numbered is n traces from a first number on.
func numbered(first, n int) []string {
	traces := make([]string, n)
	for i := range traces {
		traces[i] = fmt.Sprint(first + i)
	}
	return traces
}

func TestANoticeIsReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{}
		f := pushing(t, r)
		time.Sleep(time.Second)
		f.notice(notice("a"))
		if times, asked := r.reads(); !slices.Equal(times, []time.Duration{time.Second}) || !slices.Equal(asked[0], []string{"a"}) {
			t.Errorf("reads at %v for %v", times, asked)
		}
	})
}

func TestABurstOfNoticesIsReadTenTimesASecondWithAllItsTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{takes: 20 * time.Millisecond}
		f := pushing(t, r)
		for i := range 1000 {
			f.notice(notice(fmt.Sprint(i)))
			time.Sleep(2 * time.Millisecond) // two seconds in all
		}
		time.Sleep(time.Second)
		times, asked := r.reads()
		if len(times) < 20 || len(times) > 21 {
			t.Errorf("%d reads in two seconds of notices: %v", len(times), times)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap < pushEvery {
				t.Errorf("reads %v apart", gap)
			}
		}
		if all := slices.Concat(asked...); !slices.Equal(all, numbered(0, 1000)) {
			t.Errorf("%d traces were read for, each once and in order: %v", len(all), all)
		}
	})
}

func TestWithoutNoticesTheTallyIsReadEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{}
		f := pushing(t, r)
		time.Sleep(7 * time.Second)
		if times, _ := r.reads(); !slices.Equal(times, []time.Duration{pollEvery, 2 * pollEvery, 3 * pollEvery}) {
			t.Errorf("reads at %v", times)
		}
		f.notice(votestore.Notice{})
		time.Sleep(3 * time.Second)
		if times, _ := r.reads(); !slices.Equal(times, []time.Duration{7 * time.Second, 9 * time.Second}) {
			t.Errorf("reads at %v, want one at the notice and the next two seconds later", times)
		}
	})
}

func TestAReadThatFailedIsRepeatedSoonForTheSameVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{err: errDown}
		f := pushing(t, r)
		f.notice(notice("a", "b"))
		time.Sleep(retryEvery)
		if times, asked := r.reads(); len(times) != 2 || times[1]-times[0] != retryEvery || !slices.Equal(asked[1], []string{"a", "b"}) {
			t.Fatalf("reads at %v for %v", times, asked)
		}
		f.notice(notice("c"))
		r.fail(nil)
		time.Sleep(pushEvery)
		if _, asked := r.reads(); len(asked) != 1 || !slices.Equal(asked[0], []string{"a", "b", "c"}) {
			t.Errorf("after recovery: %v", asked)
		}
		time.Sleep(pollEvery)
		if _, asked := r.reads(); len(asked) != 1 || len(asked[0]) > 0 {
			t.Errorf("the next read is for %v, which have been pushed", asked)
		}
	})
}

// Any number of traces, in any number of notices, with failures in between: the oldest are kept, up to the bound.
func TestTracesAreKeptUpToABound(t *testing.T) {
	for _, first := range []int{0, 1, 30, 63, 64, 65, 142, 1000} {
		for _, second := range []int{0, 1, 33, 34, 35, 63, 64, 65, 1000} {
			synctest.Test(t, func(t *testing.T) {
				r := &reader{err: errDown}
				f := pushing(t, r)
				time.Sleep(time.Second)
				f.notice(notice(numbered(0, first)...))
				r.reads()
				f.notice(notice(numbered(first, second)...))
				f.notice(notice(numbered(first+second, 3)...))
				time.Sleep(pushEvery + time.Millisecond)
				r.reads()
				r.fail(nil)
				time.Sleep(retryEvery)
				_, asked := r.reads()
				kept := slices.Concat(numbered(0, min(first, maxTraces)), numbered(first, second), numbered(first+second, 3))
				if kept = kept[:min(len(kept), maxTraces)]; len(asked) != 1 || !slices.Equal(asked[0], kept) {
					t.Errorf("%d, then %d, then 3: read for %v, want %v", first, second, asked, kept)
				}
			})
		}
	}
}

// The votes behind a read that fails come before those that were noticed while it was made.
func TestNoticesDuringAReadThatFailsKeepTheBoundToo(t *testing.T) {
	for _, before := range []int{0, 1, 63, 64} {
		for _, meanwhile := range []int{0, 1, 2, 64, 1000} {
			synctest.Test(t, func(t *testing.T) {
				r := &reader{err: errDown, takes: 50 * time.Millisecond}
				f := pushing(t, r)
				time.Sleep(time.Second)
				f.notice(notice(numbered(0, before)...))
				time.Sleep(10 * time.Millisecond)
				f.notice(notice(numbered(before, meanwhile)...))
				time.Sleep(50 * time.Millisecond)
				f.notice(notice(numbered(before+meanwhile, 3)...))
				time.Sleep(200 * time.Millisecond)
				_, asked := r.reads()
				want := numbered(0, min(before+meanwhile+3, maxTraces))
				if len(asked) != 2 || !slices.Equal(asked[1], want) {
					t.Errorf("%d, then %d during the read, then 3: read for %v, want at last %v", before, meanwhile, asked, want)
				}
			})
		}
	}
}

func TestSubscribingGoesOnUntilTheServiceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		f := newTallyWatcher(&reader{}, subscribePolicy(nil), func(context.Context) (*votestore.Subscription, error) {
			tries.Add(1)
			return nil, errDown
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.listen(ctx) }()
		time.Sleep(time.Minute)
		if n := tries.Load(); n < 10 || n > 600 {
			t.Errorf("%d tries in a minute", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}
