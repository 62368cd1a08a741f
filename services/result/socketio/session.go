package socketio

import "time"

const (
	maxRefusals    = 8               // of namespaces that wait for a poll
	connectTimeout = 5 * time.Second // from a websocket's opening to CONNECT
	// presumeAfter is how long CONNECT may take to come, before it must have gone to another process.
	presumeAfter = 500 * time.Millisecond
	// eventDelay is for clients that listen for events once they have read the answer to CONNECT: by websocket they would
	// miss one that comes along with it.
	eventDelay = 50 * time.Millisecond
	minHold    = 50 * time.Millisecond
)

// session is what this process knows of a viewer. Other processes may know more of one that polls. The server's lock
// guards it.
type session[F Frame] struct {
	*Server[F]
	websocket bool
	since     time.Duration // the first request here, or the last DISCONNECT
	pinged    time.Duration // the last ping from here, or its pong
	waiting   bool          // for a pong that can only come here
	answered  time.Duration // the answer to CONNECT from here
	queue     [][]byte      // packets to send first
	last      []byte        // the last packet, once the session has ended
	// owed is true while CONNECT is to be answered from here, acked once any process has, left after a DISCONNECT.
	owed, acked, left bool
	shown             F             // the last frame sent from here
	wake              chan struct{} // tells run of a change

	id                               string
	expires                          time.Duration // unless a poll waits
	expiry                           *time.Timer
	polled, polling, posted, posting bool // a poll came here; one waits; a POST came here; one is being read
	probing                          bool // a websocket is being tested
}

// whole is true if all requests of the session come here.
func (ss *session[F]) whole() bool { return ss.websocket || !ss.others.Load() }

func (ss *session[F]) alert() {
	select {
	case ss.wake <- struct{}{}:
	default:
	}
}

// take returns false if the session must be closed.
func (ss *session[F]) take(p packet) bool {
	switch p.kind {
	case "1":
		ss.last = noopPacket
	case "3":
		ss.pinged, ss.waiting = ss.now(), false
	case "6":
	case "40":
		if p.namespace != mainNamespace {
			ss.queue = append(ss.queue, connectErrorPacket(p.namespace))
			return len(ss.queue) <= maxRefusals
		}
		if ss.websocket || !ss.acked || ss.left { // else another process has answered
			var none F
			ss.owed, ss.left, ss.shown = true, false, none
		}
	case "41":
		ss.left, ss.since = true, ss.now()
	case "42", "43": // nobody listens
		return ss.owed || ss.acked || !ss.whole()
	default:
		return false
	}
	return true
}

// presume takes it that CONNECT went to another process if it should have come by now: a client sends it along with
// its first poll. If no poll came here either, the other has answered.
func (ss *session[F]) presume() {
	if !ss.acked && (!ss.whole() || !ss.posted && ss.now() >= ss.since+presumeAfter) {
		ss.acked, ss.owed = true, ss.owed || ss.polled
	}
}

// due returns the packets to send now, and when to look again.
func (ss *session[F]) due(newest F) (packets [][]byte, next time.Duration) {
	now := ss.now()
	packets, ss.queue = ss.queue, nil
	ss.presume()
	if ss.owed {
		packets = append(packets, connectPacket())
		ss.owed, ss.acked, ss.answered = false, true, now
	}
	var none F
	connected := ss.acked && !ss.left
	early := ss.websocket && now < ss.answered+eventDelay
	if connected && !early && newest != ss.shown && newest != none {
		packets = append(packets, newest.Event())
		ss.shown = newest
	}
	ss.waiting = ss.waiting && ss.whole()
	if !ss.waiting && now >= ss.pinged+ss.pingInterval {
		packets = append(packets, pingPacket)
		ss.pinged, ss.waiting = now, ss.whole()
	}

	next = ss.pinged + ss.pingInterval
	if ss.waiting {
		next = ss.pinged + ss.pingTimeout
	}
	if ss.websocket && !connected {
		next = min(next, ss.since+connectTimeout)
	}
	if now >= next {
		ss.last = closePacket
	}
	if early {
		next = min(next, ss.answered+eventDelay)
	}
	if !ss.acked && !ss.posted {
		next = min(next, ss.since+presumeAfter)
	}
	return packets, next
}

// dueByPoll is due for a client that has polled since start, and whose sid may say what other processes have done.
func (ss *session[F]) dueByPoll(id sid, start time.Duration, newest F) (packets [][]byte, next time.Duration) {
	ss.presume()
	answering, shown := ss.owed, ss.shown
	var none F
	if !ss.whole() && !answering && newest != none {
		// Another process may have sent this frame, or a newer one that has not come here yet. A total that falls, as after
		// restoring a backup, is noticed with the next ping.
		if total := newest.Total(); total == id.total || total < id.total && ss.now() < ss.pinged+ss.pingInterval {
			newest = shown
		}
	}
	packets, next = ss.due(newest)
	if ss.shown != shown {
		id.total = ss.shown.Total()
	}
	if answering || !ss.whole() && ss.shown != shown {
		renewed := sid{ss.id, ss.process, max(id.total, connected)}
		packets = append([][]byte{ss.openPacket(renewed, "")}, packets...)
	}
	quiet := ss.probing
	if ss.acked { // a websocket may be tested elsewhere, and the client waits for the end of its poll
		hold := start + max(start-ss.since, minHold)
		next, quiet = min(next, hold), quiet || ss.now() >= hold
	}
	if packets == nil && quiet {
		packets = [][]byte{noopPacket}
	}
	return packets, next
}

// run sends what is due until send answers false, the client is gone or the session has ended. The last packet is sent
// in any case.
func (ss *session[F]) run(
	due func(F) ([][]byte, time.Duration), mailbox <-chan F, gone <-chan struct{}, send func([][]byte) bool,
) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var newest F
	select {
	case newest = <-mailbox:
	default:
	}
	for {
		ss.mu.Lock()
		packets, next := due(newest)
		if ss.stopping.Err() != nil {
			ss.last = closePacket
		}
		ended := ss.last != nil
		if ended {
			packets = [][]byte{ss.last}
		}
		ss.mu.Unlock()
		if packets != nil && !send(packets) || ended {
			return
		}
		timer.Reset(next - ss.now())
		select {
		case newest = <-mailbox:
		case <-ss.wake:
		case <-timer.C:
		case <-ss.stopping.Done():
		case <-gone:
			return
		}
	}
}
