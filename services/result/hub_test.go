package main

import (
	"maps"
	"sync"
	"testing"

	"petvote/shared/ballot"
)

func dogs(n int64) ballot.Counts { return ballot.Counts{Dogs: n} }

func publish(t *testing.T, h *hub, counts ...ballot.Counts) {
	t.Helper()
	for _, c := range counts {
		h.publish(c)
	}
}

// seen takes what is in a viewer's mailbox.
func seen(v *viewer) (c ballot.Counts, ok bool) {
	select {
	case f := <-v.mailbox:
		return f.counts, true
	default:
		return ballot.Counts{}, false
	}
}

func wantSeen(t *testing.T, v *viewer, want ballot.Counts) {
	t.Helper()
	if got, ok := seen(v); !ok || got != want {
		t.Errorf("the viewer finds %+v (anything: %v), want %+v", got, ok, want)
	}
	if more, ok := seen(v); ok {
		t.Errorf("and then %+v, want no more", more)
	}
}

func TestAViewerWhoJoinsGetsThePresentTallyAtOnce(t *testing.T) {
	h := newHub()
	early := h.join(transportSSE)
	if c, ok := seen(early); ok {
		t.Errorf("before the first tally: %+v", c)
	}
	publish(t, h, ballot.Counts{})
	wantSeen(t, early, ballot.Counts{})
	publish(t, h, dogs(1), dogs(2))
	wantSeen(t, h.join(transportSocketIO), dogs(2))
}

func TestASlowViewerFindsTheNewestAndHoldsUpNobody(t *testing.T) {
	h := newHub()
	slow, quick := h.join(transportSSE), h.join(transportSSE)
	for n := range int64(1000) {
		publish(t, h, dogs(n))
		wantSeen(t, quick, dogs(n))
	}
	wantSeen(t, slow, dogs(999))
}

func TestTheSameCountsAgainAreNoNews(t *testing.T) {
	h := newHub()
	v := h.join(transportSSE)
	publish(t, h, dogs(1))
	wantSeen(t, v, dogs(1))
	publish(t, h, dogs(1), dogs(1))
	if c, ok := seen(v); ok {
		t.Errorf("pushed %+v again", c)
	}
	publish(t, h, dogs(2), dogs(1)) // back to what was before, as after a restored backup, is news
	wantSeen(t, v, dogs(1))
}

func TestWhoLeftGetsNothingAndLeavesOnce(t *testing.T) {
	h := newHub()
	gone, stays := h.join(transportSSE), h.join(transportSSE)
	h.leave(gone)
	h.leave(gone)
	publish(t, h, dogs(1))
	if c, ok := seen(gone); ok {
		t.Errorf("who left got %+v", c)
	}
	wantSeen(t, stays, dogs(1))
	if n := h.audience().Viewers[transportSSE]; n != 1 {
		t.Errorf("%d viewers, want 1", n)
	}
}

func TestFiguresTellViewersPushesAndWhatNobodySaw(t *testing.T) {
	h := newHub()
	if f := h.audience(); !maps.Equal(f.Viewers, map[string]int64{"sse": 0, "socket.io": 0}) || f.Pushes != 0 || f.Conflated != 0 {
		t.Errorf("at first: %+v, want a zero for each transport", f)
	}
	a, b := h.join(transportSSE), h.join(transportSSE)
	h.join(transportSocketIO)
	publish(t, h, dogs(1), dogs(1))
	wantSeen(t, a, dogs(1))
	publish(t, h, dogs(2)) // two have not taken the first
	wantSeen(t, b, dogs(2))
	f := h.audience()
	if !maps.Equal(f.Viewers, map[string]int64{"sse": 2, "socket.io": 1}) || f.Pushes != 2 || f.Conflated != 2 {
		t.Errorf("figures %+v, want 2 and 1 viewers, 2 pushes, 2 conflated", f)
	}
	f.Viewers[transportSSE] = 99
	if h.audience().Viewers[transportSSE] != 2 {
		t.Error("figures hands out the hub's own map")
	}
}

func TestAFrameIsAnEventOfTheStream(t *testing.T) {
	f := newFrame(ballot.Counts{Dogs: 1, Cats: 2, Lizards: 3})
	if want := "event: current_votes\ndata: {\"dogs\":1,\"cats\":2,\"lizards\":3}\n\n"; string(f.sse) != want {
		t.Errorf("frame %q, want %q", f.sse, want)
	}
}

// Viewers come, read and go while the tally grows. Whoever stays sees it grow, never shrink, and sees its end.
func TestManyViewersAtOnceSeeTheTallyGrowToItsEnd(t *testing.T) {
	const viewers, passers, last = 50, 50, int64(2000)
	h := newHub()
	var everybody sync.WaitGroup
	for range viewers {
		v := h.join(transportSSE)
		everybody.Go(func() {
			defer h.leave(v)
			for before := int64(-1); before < last; {
				c := (<-v.mailbox).counts.Dogs
				if c <= before {
					t.Errorf("saw %d after %d", c, before)
					return
				}
				before = c
			}
		})
	}
	for range passers {
		everybody.Go(func() {
			for range 100 {
				v := h.join(transportSocketIO)
				seen(v)
				h.leave(v)
				h.audience()
			}
		})
	}
	for n := range last + 1 {
		publish(t, h, dogs(n))
	}
	everybody.Wait()
	if f := h.audience(); f.Viewers[transportSSE] != 0 || f.Viewers[transportSocketIO] != 0 || f.Pushes != last+1 {
		t.Errorf("at the end: %+v", f)
	}
}
