package socketio

import "time"

const (
	maxRefusals    = 8               // of namespaces that wait for a poll
	connectTimeout = 5 * time.Second // from a websocket's opening to CONNECT
	// eventDelay is for clients that listen for events once they have read the answer to CONNECT: by websocket they would
	// miss one that comes along with it.
	eventDelay = 10 * time.Millisecond
)

// session is what this process knows of a viewer. The server's lock guards one that polls, of which other processes may
// know more. One by websocket is used by a single goroutine.
type session[F Frame] struct {
	*Server[F]
	websocket bool
	since     time.Duration // the first request here, or the last DISCONNECT
	pinged    time.Duration // the last ping from here, or its pong
	waiting   bool          // for a pong that can only come here
	queue     [][]byte      // packets to send first
	last      []byte        // the last packet, once the session has ended
	// owed is true while CONNECT is to be answered from here, acked once any process has, left after a DISCONNECT.
	owed, acked, left bool
	shown             F // the last frame sent from here

	// By polling only:
	id                               string
	expiry                           *time.Timer   // runs while no poll waits
	wake                             chan struct{} // tells the waiting poll of a change
	polled, polling, posted, posting bool          // a poll came here; one waits; a POST came here; one is being read
	probing                          bool          // a websocket is being tested
}

// whole is true if all requests of the session come here.
func (ss *session[F]) whole() bool { return ss.websocket || !ss.others.Load() }

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

// due returns the packets to send now, and when to look again.
func (ss *session[F]) due(newest F) (packets [][]byte, next time.Duration) {
	now := ss.now()
	packets, ss.queue = ss.queue, nil
	if ss.owed {
		packets = append(packets, connectPacket())
		ss.owed, ss.acked = false, true
		if ss.websocket {
			return packets, now + eventDelay
		}
	}
	var none F
	connected := ss.acked && !ss.left
	if connected && newest != ss.shown && newest != none {
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
	return packets, next
}
