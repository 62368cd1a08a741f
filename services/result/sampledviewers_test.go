package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

// recorded is the trace context of a push that is recorded.
func recorded(n int) tracecontext.TraceContext {
	return tracecontext.TraceContext{Parent: fmt.Sprintf("00-%032x-%016x-01", n, n)}
}

func publishTraced(t *testing.T, h *hub, c ballot.Counts, traces ...tracecontext.TraceContext) {
	t.Helper()
	if _, err := h.publish(c, traces); err != nil {
		t.Fatal(err)
	}
}

// told empties the mailboxes and returns the traces that were in each, the tally's event being in front of them.
func told(t *testing.T, viewers ...*viewer) [][]string {
	t.Helper()
	var all [][]string
	for _, v := range viewers {
		select {
		case f := <-v.mailbox:
			if !strings.HasPrefix(string(f.sse), "event: current_votes\n") || strings.Contains(string(f.sse), "event: push_traces\ndata: [") != (len(f.parents) > 0) {
				t.Errorf("frame %s for %v", f.sse, f.parents)
			}
			all = append(all, f.parents)
		default:
			all = append(all, nil)
		}
	}
	return all
}

func TestAFewViewersAreToldTheTracesOfAPush(t *testing.T) {
	h := newHub()
	var viewers []*viewer
	for range 10 {
		viewers = append(viewers, h.join(transportSSE))
	}
	socket := h.join(transportSocketIO)
	unrecorded := tracecontext.TraceContext{Parent: strings.TrimSuffix(recorded(2).Parent, "1") + "0"}
	publishTraced(t, h, dogs(1), recorded(1), unrecorded, recorded(3))
	witnesses := 0
	for _, parents := range told(t, viewers...) {
		if len(parents) == 0 {
			continue
		}
		if witnesses++; !slices.Equal(parents, []string{recorded(1).Parent, recorded(3).Parent}) {
			t.Errorf("told %v", parents)
		}
	}
	if witnesses != maxWitnesses {
		t.Errorf("%d witnesses, want %d", witnesses, maxWitnesses)
	}
	if parents := told(t, socket)[0]; parents != nil {
		t.Errorf("a viewer by Socket.IO is told %v", parents)
	}

	publishTraced(t, h, dogs(2))
	for _, parents := range told(t, viewers...) {
		if len(parents) > 0 {
			t.Errorf("told %v of a push that nobody records", parents)
		}
	}
}

func TestAWitnessThatIsSlowStillReportsEarlierPushes(t *testing.T) {
	h := newHub()
	v := h.join(transportSSE)
	publishTraced(t, h, dogs(1), recorded(1))
	publishTraced(t, h, dogs(2))
	publishTraced(t, h, dogs(3), recorded(3))
	if parents := told(t, v)[0]; !slices.Equal(parents, []string{recorded(3).Parent, recorded(1).Parent}) {
		t.Errorf("told %v", parents)
	}
	many := make([]tracecontext.TraceContext, 3*maxWitnessed)
	for i := range many {
		many[i] = recorded(i + 1)
	}
	publishTraced(t, h, dogs(4), many...)
	publishTraced(t, h, dogs(5), many...)
	if parents := told(t, v)[0]; len(parents) != maxWitnessed {
		t.Errorf("told %d traces, want %d", len(parents), maxWitnessed)
	}
}

func TestATallyThatWasPushedBeforeIsPushedAgainToItsWitnesses(t *testing.T) {
	h := newHub()
	v := h.join(transportSSE)
	publishTraced(t, h, dogs(1)) // by the regular look, just before the notice
	told(t, v)
	isNews, err := h.publish(dogs(1), []tracecontext.TraceContext{recorded(1)})
	if err != nil || isNews {
		t.Errorf("news: %v, %v", isNews, err)
	}
	if parents := told(t, v)[0]; !slices.Equal(parents, []string{recorded(1).Parent}) {
		t.Errorf("told %v", parents)
	}
	if f := h.figures(); f.Pushes != 1 || f.Conflated != 0 {
		t.Errorf("figures %+v", f)
	}
}
