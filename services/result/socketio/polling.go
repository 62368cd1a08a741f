package socketio

import (
	"bufio"
	"net/http"
	"time"
)

const (
	maxSessions = 1 << 16 // some 600 bytes each
	maxRefusals = 16      // of namespaces that wait for a poll
	ackAfter    = 500 * time.Millisecond
	minHold     = 50 * time.Millisecond
)

// session is what this process knows of a session that polls. Other processes may know more.
type session[F Frame] struct {
	id            string
	since, pinged time.Time     // the first request and the last ping here
	expiry        *time.Timer   // runs while no poll waits
	wake          chan struct{} // tells the waiting poll of a change
	last          []byte        // the last packet, once the session has ended
	refusals      [][]byte      // of other namespaces

	polled, polling, posted, probing bool // a poll came here; one waits; a POST came here; a websocket is being tested
	// connected is true after a CONNECT that came here, acked after its answer by any process, left after a
	// DISCONNECT, again after a CONNECT after that.
	connected, acked, left, again bool
	shown                         F // the last frame sent from here
}

// add adds a session, if there are too many in place of any without a waiting poll. The caller holds the lock.
func (s *Server[F]) add(id sid) *session[F] {
	for _, other := range s.sessions {
		if len(s.sessions) < maxSessions {
			break
		}
		if !other.polling {
			s.end(other, closePacket)
		}
	}
	now := time.Now()
	ss := &session[F]{id: id.id, since: now, pinged: now, wake: make(chan struct{}, 1), acked: id.renewed}
	if id.renewed {
		ss.pinged = time.Time{} // unknown, so ping at once
	}
	ss.expiry = time.AfterFunc(s.pingInterval+s.pingTimeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !ss.polling {
			s.end(ss, closePacket)
		}
	})
	s.sessions[ss.id] = ss
	return ss
}

// find returns a session, or nil if it has ended. It takes over one that another process may know. The caller holds the
// lock.
func (s *Server[F]) find(id sid) *session[F] {
	ss := s.sessions[id.id]
	if ss == nil && s.others.Load() {
		ss = s.add(id)
	}
	if ss != nil {
		ss.expiry.Reset(s.pingInterval + s.pingTimeout)
		ss.acked = ss.acked || id.renewed
	}
	return ss
}

// end forgets a session. A waiting poll is answered with the last packet. The caller holds the lock.
func (s *Server[F]) end(ss *session[F], last []byte) {
	if s.sessions[ss.id] == ss { // else it was taken over anew
		delete(s.sessions, ss.id)
	}
	ss.expiry.Stop()
	ss.last = last
	ss.alert()
}

func (ss *session[F]) alert() {
	select {
	case ss.wake <- struct{}{}:
	default:
	}
}

// poll answers with the packets that are due, as soon as there are any.
func (s *Server[F]) poll(w http.ResponseWriter, r *http.Request, ss *session[F], id sid) {
	// An error means that the server's own, shorter deadline remains.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.pingInterval + writeTimeout))
	mailbox, leave, err := s.join()
	if err != nil {
		refuseFull(w)
		return
	}
	defer leave()
	s.mu.Lock()
	if ss.polling { // only one poll may wait
		s.end(ss, closePacket)
		s.mu.Unlock()
		refuse(w, errRequest)
		return
	}
	ss.polled, ss.polling = true, true
	s.mu.Unlock()
	packets := s.await(r, ss, id, mailbox)
	s.mu.Lock()
	ss.polling = false
	if packets == nil && !s.others.Load() { // the client is gone; else a proxy may have sent its poll elsewhere
		s.end(ss, closePacket)
	} else if ss.last == nil {
		ss.expiry.Reset(s.pingInterval + s.pingTimeout)
	}
	s.mu.Unlock()
	sendPayload(w, packets...)
}

// await returns nil if the client is gone.
func (s *Server[F]) await(r *http.Request, ss *session[F], id sid, mailbox <-chan F) (packets [][]byte) {
	start, timer := time.Now(), time.NewTimer(0)
	defer timer.Stop()
	var newest, none F
	fell := false // since the start
	select {
	case newest = <-mailbox:
	default:
	}
	for s.stopping.Err() == nil {
		s.mu.Lock()
		packets, next := s.due(ss, id, start, newest, fell)
		s.mu.Unlock()
		if packets != nil {
			return packets
		}
		timer.Reset(time.Until(next))
		select {
		case f := <-mailbox:
			fell = newest != none && f.Total() < newest.Total()
			newest = f
		case <-ss.wake:
		case <-timer.C:
		case <-s.stopping.Done():
		case <-r.Context().Done():
			return nil
		}
	}
	return [][]byte{closePacket}
}

// due returns the packets to send now, or else when to look again. The caller holds the lock.
func (s *Server[F]) due(
	ss *session[F], id sid, start time.Time, newest F, fell bool,
) (packets [][]byte, next time.Time) {
	if ss.last != nil {
		return [][]byte{ss.last}, next
	}
	now, others, alone := time.Now(), s.others.Load(), s.alone()
	ackAt, pingAt := ss.since.Add(ackAfter), ss.pinged.Add(s.pingInterval)
	pinging, renewing := !now.Before(pingAt), false
	packets, ss.refusals = ss.refusals, nil

	// A client sends CONNECT along with its first poll, but perhaps to another process, which can't tell.
	elsewhere := others || !alone && !ss.posted && !now.Before(ackAt)
	if ss.again || !ss.acked && (ss.connected || elsewhere) {
		packets = append(packets, connectPacket())
		ss.acked, ss.again, renewing = true, false, true
	}
	var none F
	if newest != none && newest != ss.shown && ss.acked && !ss.left {
		// Another process may have sent this frame, or a newer one that has not come here yet. A total that falls, as after
		// restoring a backup, is noticed here or with the next ping.
		if total := newest.Total(); total > id.total || !others || (fell || pinging) && total != id.total {
			packets = append(packets, newest.Event())
			ss.shown, id.total, renewing = newest, total, true
		}
	}
	if renewing && !alone {
		renewed := sid{id: ss.id, process: s.process, renewed: true, total: id.total}
		packets = append([][]byte{s.openPacket(renewed, "")}, packets...)
	}
	if pinging {
		packets = append(packets, pingPacket)
		ss.pinged = now
	}

	next = pingAt
	brief := others || ss.acked && !alone
	if brief { // a websocket may be tested elsewhere, and the client waits for the end of its poll
		if hold := start.Add(max(start.Sub(ss.since), minHold)); hold.Before(next) {
			next = hold
		}
	} else if ackAt.After(now) && ackAt.Before(next) {
		next = ackAt
	}
	if packets == nil && (ss.probing || brief && !now.Before(next)) {
		packets = [][]byte{noopPacket}
	}
	return packets, next
}

// receive takes the packets of a POST.
func (s *Server[F]) receive(w http.ResponseWriter, r *http.Request, ss *session[F]) {
	packets := bufio.NewScanner(http.MaxBytesReader(w, r.Body, maxPayload))
	packets.Buffer(make([]byte, 0, 256), maxPacket)
	packets.Split(splitPackets)
	n, ok := 0, true
	for ; ok && packets.Scan(); n++ {
		ok = s.take(ss, parse(packets.Bytes()))
	}
	if !ok || n == 0 || packets.Err() != nil {
		s.mu.Lock()
		s.end(ss, closePacket)
		s.mu.Unlock()
		refuse(w, errRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("ok"))
}

// take returns false if the session must be closed.
func (s *Server[F]) take(ss *session[F], p packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ss.posted = true
	switch p.kind {
	case "1":
		s.end(ss, noopPacket)
	case "3", "6":
	case "40":
		if p.namespace == mainNamespace {
			ss.again = ss.left
			ss.connected, ss.left = true, false
		} else {
			ss.refusals = append(ss.refusals, connectErrorPacket(p.namespace))
		}
		ss.alert()
		return len(ss.refusals) <= maxRefusals
	case "41":
		ss.left = true
	case "42", "43": // nobody listens
		return ss.connected || !s.alone()
	default:
		return false
	}
	return true
}
