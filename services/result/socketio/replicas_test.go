package socketio

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A session's first requests may each come to any of two replicas, and CONNECT before or after the first poll. However
// they do, CONNECT is answered once, the session is upgraded, and pushes come.
func TestEachRequestOfASessionMayComeToAnotherReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("runs 128 sessions")
	}
	for way := range 1 << 5 {
		for _, order := range []string{"CONNECT first", "poll first"} {
			for _, before := range []string{"new replicas", "replicas that know of each other"} {
				t.Run(fmt.Sprintf("%05b, %s, %s", way, order, before), func(t *testing.T) {
					t.Parallel()
					beginSession(t, way, order == "poll first", before != "new replicas")
				})
			}
		}
	}
}

func beginSession(t *testing.T, way int, pollFirst, known bool) {
	both := []*replica{newReplica(t, slow, quick), newReplica(t, slow, quick)}
	if known {
		for i, r := range both {
			open(t, r).post(both[1-i], "3")
		}
	}
	next := func() *replica {
		defer func() { way >>= 1 }()
		return both[way&1]
	}
	home := next()
	c := open(t, home)
	forConnect, forPoll, forProbe, forSecond := next(), next(), next(), next()
	s := dial(t, forProbe, c)
	c2 := *c // CONNECT carries the sid of the handshake, even if a poll has brought another
	var connecting sync.WaitGroup
	defer connecting.Wait()
	if pollFirst {
		connecting.Go(func() { time.Sleep(30 * time.Millisecond); c2.post(forConnect, "40") })
	} else {
		c2.post(forConnect, "40")
	}
	c.poll(forPoll)
	connecting.Wait()
	s.send("2probe")
	s.wantNext("3probe")
	if c.connect == 0 { // the first poll ended early
		c.poll(forSecond)
	}
	c.poll(forSecond)
	s.send("5")
	for _, r := range both {
		r.push(2)
	}
	for c.seen() != 2 {
		packet, status := s.next()
		if status != -1 {
			t.Fatalf("closed with %v", status)
		}
		c.read(packet)
	}
	answers := 1
	if !known && forConnect == home && forProbe == home && forPoll != home && forSecond != home {
		answers = 2 // it looks as if the client had never polled
	}
	if c.connect != answers || !slices.IsSorted(c.totals) {
		t.Errorf("%d answers to CONNECT, want %d, totals %v", c.connect, answers, c.totals)
	}
}

// A client that only polls sees each push once, in order, whichever replica answers.
func TestAPollingClientSeesEachChangeOnceFromManyReplicas(t *testing.T) {
	all := []*replica{newReplica(t, slow, quick), newReplica(t, slow, quick), newReplica(t, slow, quick)}
	c := open(t, all[0])
	c.post(all[1], "40")
	n := 2
	poll := func() {
		c.poll(all[n%len(all)])
		n++
	}
	for c.seen() != 1 {
		poll()
	}
	const last = 30
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for total := int64(2); total <= last; total++ {
			for _, r := range all {
				time.Sleep(3 * time.Millisecond)
				r.push(total)
			}
		}
	})
	for c.seen() != last {
		poll()
	}
	pushing.Wait()
	if !slices.IsSorted(c.totals) || len(slices.Compact(c.totals)) != len(c.totals) || c.connect != 1 {
		t.Errorf("%d answers to CONNECT, totals %v", c.connect, c.totals)
	}
}

// A session outlives the process that opened it, and is pinged by any.
func TestASessionGoesOnAtAnotherReplica(t *testing.T) {
	t.Parallel()
	one, two := newReplica(t, time.Second, 500*time.Millisecond), newReplica(t, time.Second, 500*time.Millisecond)
	c := open(t, one)
	c.post(one, "40")
	c.poll(one)
	one.server.Stop()
	pings := 0
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		c.other = nil
		c.poll(two)
		if slices.Contains(c.other, "2") {
			pings++
			c.post(two, "3")
		}
	}
	if c.connect != 1 || pings < 2 {
		t.Errorf("%d answers to CONNECT, %d pings in 4 s", c.connect, pings)
	}
}

// A client that ignores renewed sids still gets each change at most once from each replica.
func TestAClientThatKeepsItsFirstSIDIsServed(t *testing.T) {
	t.Parallel()
	both := []*replica{newReplica(t, time.Second, quick), newReplica(t, time.Second, quick)}
	c := open(t, both[0])
	first := c.sid
	c.post(both[1], "40")
	for i := range 12 {
		if i%4 == 0 {
			both[0].push(int64(i + 2))
			both[1].push(int64(i + 2))
		}
		c.poll(both[i%2])
		c.sid = first
	}
	if c.connect > 2 || len(c.totals) > 6 || c.seen() != 10 {
		t.Errorf("%d answers to CONNECT, totals %v from two replicas", c.connect, c.totals)
	}
}
