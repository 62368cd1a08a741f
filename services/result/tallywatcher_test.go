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

	"petvote/infra/testenv"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

// fakeRefresher records when it was called, and for which traces.
type fakeRefresher struct {
	mu     sync.Mutex
	start  time.Time
	times  []time.Duration // since start
	traces [][]string
	err    error
	takes  time.Duration
}

func (r *fakeRefresher) Refresh(_ context.Context, n votestore.Notice) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Since(r.start))
	var traces []string
	for _, tc := range n.Traces {
		traces = append(traces, tc.Parent)
	}
	r.traces = append(r.traces, traces)
	time.Sleep(r.takes)
	return r.err
}

func (r *fakeRefresher) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// calls returns the calls so far and forgets them.
func (r *fakeRefresher) calls() (times []time.Duration, traces [][]string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	times, traces = r.times, r.traces
	r.times, r.traces = nil, nil
	return times, traces
}

// pushing runs a watcher's push, to a number of viewers, until the test's end.
func pushing(t *testing.T, r *fakeRefresher, viewers int) *tallyWatcher {
	t.Helper()
	w := newTallyWatcher(r, func() int { return viewers }, nil, nil)
	w.setNotified(true)
	r.start = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.push(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("push ended with %v", err)
		}
	})
	return w
}

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

func TestANoticeIsReadAtOnceAndElseTheTallyEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRefresher{}
		w := pushing(t, r, 0)
		time.Sleep(7 * time.Second)
		if times, _ := r.calls(); !slices.Equal(times, []time.Duration{pollEvery, 2 * pollEvery, 3 * pollEvery}) {
			t.Errorf("reads at %v", times)
		}
		w.notices <- notice("a")
		time.Sleep(3 * time.Second)
		times, traces := r.calls()
		if !slices.Equal(times, []time.Duration{7 * time.Second, 9 * time.Second}) || traces[0][0] != "a" {
			t.Errorf("reads at %v for %v, want one at the notice and the next two seconds later", times, traces)
		}
	})
}

// Without notices, as behind a pooler, votes must not wait for the next poll of a healthy watcher.
func TestWhileNoNoticesComeTheTallyIsReadTenTimesASecondAndAFindingSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRefresher{}
		w := pushing(t, r, 0)
		time.Sleep(pollEvery + time.Millisecond)
		w.setNotified(false)
		time.Sleep(pollEvery)
		r.calls()
		if found := w.findings(); len(found) > 0 {
			t.Errorf("findings %v while a subscription is being restored", found)
		}
		time.Sleep(4 * time.Second)
		if times, _ := r.calls(); len(times) != 40 {
			t.Errorf("%d reads in 4 s", len(times))
		}
		for range 3 {
			if found := w.findings(); len(found) != 1 || found[0].Setting != "DATABASE_LISTEN_URL" {
				t.Errorf("findings %v", found)
			}
			w.setNotified(false) // another subscription in vain
		}
		r.fail(errDown)
		time.Sleep(4 * time.Second)
		if times, _ := r.calls(); len(times) > 9 {
			t.Errorf("%d reads in 4 s that fail", len(times))
		}
		if found := w.findings(); len(found) > 0 {
			t.Errorf("findings %v while PostgreSQL is unavailable", found)
		}
		r.fail(nil)
		w.setNotified(true)
		time.Sleep(time.Second)
		if found := w.findings(); len(found) > 0 {
			t.Errorf("findings %v though notices come", found)
		}
	})
}

func TestABurstOfNoticesIsReadAsOftenAsTheViewersAllowWithAllItsTraces(t *testing.T) {
	for viewers, every := range map[int]time.Duration{
		0: 16 * time.Millisecond, 1000: 16 * time.Millisecond, 2000: 20 * time.Millisecond,
		10_000: 100 * time.Millisecond, 50_000: 500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &fakeRefresher{takes: 5 * time.Millisecond}
			w := pushing(t, r, viewers)
			for i := range 1000 {
				w.notices <- notice(fmt.Sprint(i))
				time.Sleep(8 * time.Millisecond)
			}
			burst := time.Since(r.start)
			time.Sleep(time.Second)
			times, traces := r.calls()
			if times[0] != 0 {
				t.Errorf("%d viewers: the first read at %v, want it at once", viewers, times[0])
			}
			if most := int(burst/every) + 2; len(times) > most || len(times) < most-2 {
				t.Errorf("%d viewers: %d reads in %v of notices: %v", viewers, len(times), burst, times)
			}
			for i := 1; i < len(times); i++ {
				if gap := times[i] - times[i-1]; gap < every {
					t.Errorf("%d viewers: reads %v apart", viewers, gap)
				}
			}
			if all := slices.Concat(traces...); !slices.Equal(all, numbered(0, 1000)) {
				t.Errorf("%d viewers: %d traces were read for, want each once and in order: %v", viewers, len(all), all)
			}
		})
	}
}

func TestAFailedReadIsRepeatedSoonForTheSameVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &fakeRefresher{err: errDown}
		w := pushing(t, r, 0)
		w.notices <- notice("a", "b")
		time.Sleep(retryEvery)
		times, traces := r.calls()
		if len(times) != 2 || times[1]-times[0] != retryEvery || !slices.Equal(traces[1], []string{"a", "b"}) {
			t.Fatalf("reads at %v for %v", times, traces)
		}
		w.notices <- notice("c")
		r.fail(nil)
		time.Sleep(pushEvery)
		if _, traces := r.calls(); len(traces) != 1 || !slices.Equal(traces[0], []string{"a", "b", "c"}) {
			t.Errorf("after recovery: %v", traces)
		}
		time.Sleep(pollEvery)
		if _, traces := r.calls(); len(traces) != 1 || len(traces[0]) > 0 {
			t.Errorf("the next read is for %v, which have been pushed", traces)
		}
	})
}

// Whatever comes in however many notices, with failures in between: the oldest traces are kept, up to the bound.
func TestTracesAreKeptUpToABound(t *testing.T) {
	for _, first := range []int{0, 1, 30, 63, 64, 65, 1000} {
		for _, second := range []int{0, 1, 33, 34, 35, 63, 64, 1000} {
			synctest.Test(t, func(t *testing.T) {
				r := &fakeRefresher{err: errDown}
				w := pushing(t, r, 0)
				time.Sleep(time.Second)
				w.notices <- notice(numbered(0, first)...)
				r.calls()
				w.notices <- notice(numbered(first, second)...)
				w.notices <- notice(numbered(first+second, 3)...)
				time.Sleep(pushEvery + time.Millisecond)
				r.calls()
				r.fail(nil)
				time.Sleep(retryEvery)
				_, traces := r.calls()
				want := numbered(0, min(first+second+3, maxTraces))
				if len(traces) != 1 || !slices.Equal(traces[0], want) {
					t.Errorf("%d, then %d, then 3: read for %v, want %v", first, second, traces, want)
				}
			})
		}
	}
}

func TestSubscribingGoesOnUntilTheServiceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		w := newTallyWatcher(nil, nil, subscribePolicy(nil), func(context.Context) (*votestore.Subscription, error) {
			tries.Add(1)
			return nil, errDown
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.listen(ctx) }()
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

// Such as behind a proxy that ends sessions.
func TestASubscriptionThatEndsAtOnceIsNotRenewedAtOnce(t *testing.T) {
	db, err := votestore.Config{URL: votestore.DatabaseURL(testenv.NewPostgres(t).URL())}.Open(t.Context(), 2, nil)
	testenv.Must(t, err)
	t.Cleanup(db.Close)
	var opened atomic.Int32
	w := newTallyWatcher(nil, nil, subscribePolicy(nil), func(ctx context.Context) (*votestore.Subscription, error) {
		sub, err := db.Subscribe(ctx)
		if err == nil {
			opened.Add(1)
			err = sub.Close()
		}
		return sub, err
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*renewEvery/2)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			select {
			case <-w.notices:
			case <-ctx.Done():
			}
		}
	}()
	if err := w.listen(ctx); err != nil || opened.Load() < 1 || opened.Load() > 2 {
		t.Errorf("%d subscriptions in %v, %v", opened.Load(), 3*renewEvery/2, err)
	}
}
