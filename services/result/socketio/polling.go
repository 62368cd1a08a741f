package socketio

import (
	"bufio"
	"net/http"
	"slices"
	"time"
)

const (
	maxSessions = 1 << 16 // some 600 bytes each
	ackAfter    = 500 * time.Millisecond
	minHold     = 50 * time.Millisecond
)

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
	ss := &session[F]{Server: s, id: id.id, since: s.now(), pinged: s.now(), wake: make(chan struct{}, 1)}
	if id.total != unconnected {
		ss.pinged = -s.pingInterval // unknown, so ping at once
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
	if ss == nil {
		return nil
	}
	ss.expiry.Reset(s.pingInterval + s.pingTimeout)
	if id.total != unconnected && !ss.acked {
		ss.owed, ss.acked = false, true
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
	start, timer := s.now(), time.NewTimer(0)
	defer timer.Stop()
	var newest F
	select {
	case newest = <-mailbox:
	default:
	}
	for s.stopping.Err() == nil {
		s.mu.Lock()
		packets, next := ss.dueByPoll(id, start, newest)
		s.mu.Unlock()
		if packets != nil {
			return packets
		}
		timer.Reset(next - s.now())
		select {
		case newest = <-mailbox:
		case <-ss.wake:
		case <-timer.C:
		case <-s.stopping.Done():
		case <-r.Context().Done():
			return nil
		}
	}
	return [][]byte{closePacket}
}

// dueByPoll is due, but minds what other processes may have done. The caller holds the lock.
func (ss *session[F]) dueByPoll(id sid, start time.Duration, newest F) (packets [][]byte, next time.Duration) {
	if ss.last != nil {
		return [][]byte{ss.last}, 0
	}
	now, others := ss.now(), ss.others.Load()
	ackAt := ss.since + ackAfter
	// A client sends CONNECT along with its first poll, but perhaps to another process, which can't tell.
	if !ss.acked && (others || !ss.posted && now >= ackAt) {
		ss.owed = true
	}
	answering, shown := ss.owed, ss.shown
	var none F
	if others && !answering && newest != none {
		// Another process may have sent this frame, or a newer one that has not come here yet. A total that falls, as after
		// restoring a backup, is noticed with the next ping.
		if total := newest.Total(); total == id.total || total < id.total && now < ss.pinged+ss.pingInterval {
			newest = shown
		}
	}
	packets, next = ss.due(newest)
	if ss.last != nil { // no pong came
		ss.end(ss, closePacket)
		return [][]byte{closePacket}, 0
	}
	if ss.shown != shown {
		id.total = ss.shown.Total()
	}
	if answering || others && ss.shown != shown {
		renewed := sid{ss.id, ss.process, max(id.total, connected)}
		packets = slices.Insert(packets, 0, ss.openPacket(renewed, ""))
	}

	quiet := ss.probing
	if others || ss.acked { // a websocket may be tested elsewhere, and the client waits for the end of its poll
		hold := start + max(start-ss.since, minHold)
		next, quiet = min(next, hold), quiet || now >= hold
	} else if !ss.posted {
		next = min(next, ackAt)
	}
	if packets == nil && quiet {
		packets = [][]byte{noopPacket}
	}
	return packets, next
}

// receive takes the packets of a POST.
func (s *Server[F]) receive(w http.ResponseWriter, r *http.Request, ss *session[F]) {
	packets := bufio.NewScanner(http.MaxBytesReader(w, r.Body, maxPayload))
	packets.Buffer(make([]byte, 0, 256), maxPacket)
	packets.Split(splitPackets)
	s.mu.Lock()
	n, ok := 0, !ss.posting // only one may be read
	ss.posted, ss.posting = true, true
	s.mu.Unlock()
	for ; ok && packets.Scan(); n++ {
		s.mu.Lock()
		ok = ss.take(parse(packets.Bytes()))
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ss.posting = false
	switch {
	case !ok || n == 0 || packets.Err() != nil:
		s.end(ss, closePacket)
		refuse(w, errRequest)
		return
	case ss.last != nil:
		s.end(ss, ss.last)
	default:
		ss.alert()
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("ok"))
}
