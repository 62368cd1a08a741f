package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"petvote/infra/testenv"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

// recorded is the trace context of a push that is recorded.
func recorded(n int) tracecontext.TraceContext {
	return tracecontext.TraceContext{Parent: fmt.Sprintf("00-%032x-%016x-01", n, n)}
}

func notify(t *testing.T, s *sampledViewers, traces ...tracecontext.TraceContext) {
	t.Helper()
	testenv.Must(t, s.Refresh(t.Context(), votestore.Notice{Traces: traces}))
}

// wantNotified checks how many of the viewers were notified, and of what.
func wantNotified(t *testing.T, boxes []chan []string, viewers int, want ...tracecontext.TraceContext) {
	t.Helper()
	var parents []string
	for _, tc := range want {
		parents = append(parents, tc.Parent)
	}
	notified := 0
	for _, box := range boxes {
		select {
		case got := <-box:
			if notified++; !slices.Equal(got, parents) {
				t.Errorf("notified of %v, want %v", got, parents)
			}
		default:
		}
	}
	if notified != viewers {
		t.Errorf("%d viewers were notified, want %d", notified, viewers)
	}
}

func TestAFewViewersAreNotifiedOfTheRecordedTracesOfAPush(t *testing.T) {
	r := &fakeRefresher{}
	s, boxes := newSampledViewers(r), []chan []string{}
	for range 10 {
		boxes = append(boxes, s.join())
	}
	unrecorded := tracecontext.TraceContext{Parent: strings.TrimSuffix(recorded(2).Parent, "1") + "0"}
	notify(t, s, recorded(1), unrecorded, recorded(3))
	wantNotified(t, boxes, maxSampled, recorded(1), recorded(3))
	notify(t, s, unrecorded)
	notify(t, s)
	r.fail(errDown)
	if err := s.Refresh(t.Context(), notice(recorded(4).Parent)); err == nil {
		t.Error("a failed refresh succeeds")
	}
	wantNotified(t, boxes, 0)
	r.fail(nil)
	for _, box := range boxes[2:] {
		s.leave(box)
	}
	notify(t, s, recorded(5))
	wantNotified(t, boxes[2:], 0)
	wantNotified(t, boxes[:2], 2, recorded(5))
}

func TestASlowSampledViewerStillReportsEarlierPushes(t *testing.T) {
	s := newSampledViewers(&fakeRefresher{})
	boxes := []chan []string{s.join()}
	notify(t, s, recorded(1))
	notify(t, s)
	notify(t, s, recorded(3))
	wantNotified(t, boxes, 1, recorded(3), recorded(1))

	many := make([]tracecontext.TraceContext, 3*maxNotified)
	for i := range many {
		many[i] = recorded(i + 1)
	}
	notify(t, s, many[:maxNotified-1]...)
	notify(t, s, many...)
	wantNotified(t, boxes, 1, many[:maxNotified]...)
}

func TestPagesAreNotFloodedWithTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampledViewers(&fakeRefresher{})
		box := s.join()
		notified := 0
		for range 10 * int(time.Second/pushEvery) {
			notify(t, s, recorded(1), recorded(2), recorded(3))
			select {
			case parents := <-box:
				notified += len(parents)
			default:
			}
			time.Sleep(pushEvery)
		}
		if most := 10*tracesPerS + maxSampled*maxNotified; notified < 10*tracesPerS || notified > most {
			t.Errorf("in ten seconds a page was notified of %d traces, want at most %d", notified, most)
		}
	})
}

// Whether the push still waits in the mailbox or was sent before, perhaps after a poll just ahead of the notice.
func TestASampledViewerGetsTheTallyAndThenItsTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := watch(t, &wire{}, dogs(1))
		s.received()
		traces := func(n int) string { return "event: push_traces\ndata: [\"" + recorded(n).Parent + "\"]\n\n" }
		notify(t, s.sampled, recorded(1))
		s.want(event(dogs(1)) + traces(1))
		s.blocked = make(chan struct{})
		publish(s.hub, dogs(2))
		synctest.Wait()
		publish(s.hub, dogs(3))
		notify(t, s.sampled, recorded(2))
		close(s.blocked)
		if got, last := s.received(), event(dogs(3))+traces(2); !strings.HasSuffix(got, last) {
			t.Errorf("received %q, want %q at the end", got, last)
		}
	})
}
