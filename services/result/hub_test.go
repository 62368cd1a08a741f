package main

import (
	"maps"
	"sync"
	"testing"

	"petvote/shared/ballot"
)

func dogs(n int64) ballot.Counts { return ballot.Counts{Dogs: n} }

func publish(h *hub, counts ...ballot.Counts) {
	for _, c := range counts {
		h.publish(c)
	}
}

// enter adds a viewer for whom there must be room.
func enter(h *hub, transport string) *viewer {
	v, err := h.join(transport)
	if err != nil {
		panic(err)
	}
	return v
}

// wantSeen checks what a viewer finds in its mailbox, and empties it.
func wantSeen(t *testing.T, v *viewer, want ...ballot.Counts) {
	t.Helper()
	for _, counts := range want {
		select {
		case f := <-v.mailbox:
			if f.counts != counts {
				t.Errorf("the viewer finds %+v, want %+v", f.counts, counts)
			}
		default:
			t.Errorf("the viewer finds nothing, want %+v", counts)
		}
	}
	select {
	case f := <-v.mailbox:
		t.Errorf("the viewer finds %+v, want nothing more", f.counts)
	default:
	}
}

func TestAViewerGetsTheCurrentTallyOnJoiningAndThenEachChange(t *testing.T) {
	h := newHub(100_000)
	early := enter(h, transportSSE)
	wantSeen(t, early)
	publish(h, ballot.Counts{})
	wantSeen(t, early, ballot.Counts{})
	publish(h, dogs(1), dogs(2))
	wantSeen(t, enter(h, transportSocketIO), dogs(2))
	wantSeen(t, early, dogs(2))
	publish(h, dogs(2), dogs(2))
	wantSeen(t, early)
	publish(h, dogs(3), dogs(2)) // a return to earlier counts, as after restoring a backup, is a change
	wantSeen(t, early, dogs(2))
}

func TestASlowViewerFindsTheNewestAndDelaysNobody(t *testing.T) {
	h := newHub(100_000)
	slow, quick := enter(h, transportSSE), enter(h, transportSSE)
	for n := range int64(1000) {
		publish(h, dogs(n))
		wantSeen(t, quick, dogs(n))
	}
	wantSeen(t, slow, dogs(999))
}

// What is done for each viewer is done 10,000 times under the lock.
func TestAPushIsEncodedOnceForAllViewers(t *testing.T) {
	const viewers = 1000
	h := newHub(viewers)
	for range viewers {
		enter(h, transportSSE)
	}
	n := int64(0)
	if allocations := testing.AllocsPerRun(100, func() { n++; publish(h, dogs(n)) }); allocations > viewers/10 {
		t.Errorf("a push to %d viewers allocates %v times", viewers, allocations)
	}
}

// BenchmarkPush is the time under the lock, for viewers of whom none has taken the push before.
func BenchmarkPush(b *testing.B) {
	h := newHub(10_000)
	for range h.limit {
		enter(h, transportSSE)
	}
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		publish(h, dogs(n))
	}
}

// wantAudience checks what the hub counts.
func wantAudience(t *testing.T, h *hub, sse, socketIO, pushes, conflated int64) {
	t.Helper()
	viewers, p, c, _ := h.audience()
	want := map[string]int64{"sse": sse, "socket.io": socketIO}
	if !maps.Equal(viewers, want) || p != pushes || c != conflated {
		t.Errorf("viewers %v, %d pushes, %d conflated; want %v, %d, %d", viewers, p, c, want, pushes, conflated)
	}
}

func TestTheAudienceCountsViewersPushesAndConflatedFrames(t *testing.T) {
	h := newHub(100_000)
	wantAudience(t, h, 0, 0, 0, 0)
	viewers := []*viewer{enter(h, transportSSE), enter(h, transportSSE), enter(h, transportSocketIO)}
	publish(h, dogs(1), dogs(1))
	wantSeen(t, viewers[0], dogs(1))
	publish(h, dogs(2)) // two viewers have not taken the first
	wantAudience(t, h, 2, 1, 2, 2)
	for _, v := range viewers {
		h.leave(v)
	}
	publish(h, dogs(3)) // those who left get nothing
	wantSeen(t, viewers[0], dogs(2))
	wantAudience(t, h, 0, 0, 3, 2)
}

func TestMoreViewersThanTheLimitAreRefused(t *testing.T) {
	h := newHub(2)
	first := enter(h, transportSSE)
	enter(h, transportSocketIO)
	for range 3 {
		if v, err := h.join(transportSSE); err == nil {
			t.Errorf("a third viewer joined: %v", v)
		}
	}
	wantAudience(t, h, 1, 1, 0, 0)
	if _, _, _, refused := h.audience(); refused != 3 {
		t.Errorf("%d viewers were refused, want 3", refused)
	}
	h.leave(first)
	enter(h, transportSSE)
}

// Viewers come, read and go while the tally grows. Those who stay see it grow, never shrink, up to its end.
func TestManyConcurrentViewersSeeTheTallyGrowToItsEnd(t *testing.T) {
	const viewers, passers, last = 50, 50, int64(2000)
	h := newHub(100_000)
	var everybody sync.WaitGroup
	for range viewers {
		v := enter(h, transportSSE)
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
				h.leave(enter(h, transportSocketIO))
				h.audience()
			}
		})
	}
	for n := range last + 1 {
		publish(h, dogs(n))
	}
	everybody.Wait()
	_, _, conflated, _ := h.audience()
	wantAudience(t, h, 0, 0, last+1, conflated)
}
