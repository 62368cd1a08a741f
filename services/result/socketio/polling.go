package socketio

import (
	"bufio"
	"net/http"
	"time"
)

const maxSessions = 1 << 16 // some 600 bytes each

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
	ss.expiry = time.AfterFunc(time.Hour, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !ss.polling {
			s.end(ss, closePacket)
		}
	})
	ss.extend()
	s.sessions[ss.id] = ss
	return ss
}

// extend is called for each sign of life.
func (ss *session[F]) extend() {
	life := ss.pingInterval + ss.pingTimeout
	ss.expires = ss.now() + life
	ss.expiry.Reset(life)
}

// find returns a session, or nil if it has ended. It takes over one that another process may know. The caller holds the
// lock.
func (s *Server[F]) find(id sid) *session[F] {
	ss := s.sessions[id.id]
	if ss != nil && !ss.polling && s.now() >= ss.expires { // the timer is late
		s.end(ss, closePacket)
		ss = nil
	}
	if ss == nil && s.others.Load() {
		ss = s.add(id)
	}
	if ss == nil {
		return nil
	}
	ss.extend()
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
	var packets [][]byte
	start := s.now()
	due := func(newest F) ([][]byte, time.Duration) { return ss.dueByPoll(id, start, newest) }
	ss.run(due, mailbox, r.Context().Done(), func(p [][]byte) bool { packets = p; return false })
	s.mu.Lock()
	ss.polling = false
	ss.extend()
	if ss.last != nil || packets == nil && ss.whole() { // else a proxy may have sent the client's poll elsewhere
		s.end(ss, closePacket)
	}
	s.mu.Unlock()
	sendPayload(w, packets...)
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
