package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	maxPayload   = 1_000_000 // bytes of a POST
	writeTimeout = 10 * time.Second
)

// Frame is a state that viewers are shown, encoded once for all of them.
type Frame interface {
	comparable
	Event() []byte // an event's packet, from [Event]
	Total() int64  // of votes: a later frame has more, but after a restored backup
}

// Event encodes an event's packet. The value must be one that always encodes as JSON.
func Event(name string, value any) []byte {
	data, _ := json.Marshal([]any{name, value})
	return append([]byte("42"), data...)
}

// Join adds a viewer. Its mailbox holds the newest frame that it has not taken yet. Without an error the caller must
// call leave; the error is that there are too many viewers.
type Join[F Frame] func() (mailbox <-chan F, leave func(), err error)

// Server is the handler of /socket.io/.
type Server[F Frame] struct {
	pingInterval, pingTimeout time.Duration
	join                      Join[F]

	process    string
	started    time.Time
	stopping   context.Context
	Stop       context.CancelFunc // ends every session and does not wait
	websockets sync.WaitGroup
	others     atomic.Bool // a sid was seen that another process had issued

	mu       sync.Mutex
	sessions map[string]*session[F]
}

// New returns a server, which must be closed.
func New[F Frame](pingInterval, pingTimeout time.Duration, join Join[F]) *Server[F] {
	s := &Server[F]{
		pingInterval: pingInterval, pingTimeout: pingTimeout, join: join,
		process: randomID(), started: time.Now(), sessions: map[string]*session[F]{},
	}
	s.stopping, s.Stop = context.WithCancel(context.Background()) //nolint:gosec // Close calls Stop
	return s
}

// Close stops the server and waits for its websockets, at most until ctx ends. No request may be in progress.
func (s *Server[F]) Close(ctx context.Context) error {
	s.Stop()
	closed := make(chan struct{})
	go func() { s.websockets.Wait(); close(closed) }()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server[F]) now() time.Duration { return time.Since(s.started) }

// ServeHTTP checks a request in the order of the reference implementation.
func (s *Server[F]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	transport, text := query.Get("transport"), query.Get("sid")
	isWebSocket := transport == "websocket"
	id, ok := parseSID(text)
	switch {
	case !isWebSocket && transport != "polling":
		refuse(w, errTransport)
	case query.Get("EIO") != "4":
		refuse(w, errVersion)
	case text != "" && !ok:
		refuse(w, errSession)
	case text == "" && r.Method != http.MethodGet:
		refuse(w, errMethod)
	case isWebSocket && !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		refuse(w, errRequest)
	case text != "":
		s.resume(w, r, id, isWebSocket)
	case isWebSocket:
		s.serveWebSocket(w, r, nil)
	default:
		id := sid{randomID(), s.process, unconnected}
		s.mu.Lock()
		s.add(id)
		s.mu.Unlock()
		sendPayload(w, s.openPacket(id, `"websocket"`))
	}
}

func (s *Server[F]) resume(w http.ResponseWriter, r *http.Request, id sid, isWebSocket bool) {
	if id.process != s.process {
		s.others.Store(true)
	}
	s.mu.Lock()
	ss := s.find(id)
	s.mu.Unlock()
	switch {
	case ss == nil && isWebSocket: // as the reference implementation does after an upgrade
		if conn, err := websocket.Accept(w, r, acceptAny); err == nil {
			_ = conn.CloseNow()
		}
	case ss == nil:
		refuse(w, errSession)
	case isWebSocket:
		s.serveWebSocket(w, r, ss)
	case r.Method == http.MethodGet:
		s.poll(w, r, ss, id)
	case r.Method == http.MethodPost:
		s.receive(w, r, ss)
	default:
		refuse(w, errRequest)
	}
}

// The protocol's errors: https://socket.io/docs/v4/server-api/#event-connection_error.
const (
	errTransport = `{"code":0,"message":"Transport unknown"}`
	errSession   = `{"code":1,"message":"Session ID unknown"}`
	errMethod    = `{"code":2,"message":"Bad handshake method"}`
	errRequest   = `{"code":3,"message":"Bad request"}`
	errVersion   = `{"code":5,"message":"Unsupported protocol version"}`
)

func refuse(w http.ResponseWriter, problem string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(problem))
}

func refuseFull(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	http.Error(w, "there are too many viewers, please try again later", http.StatusServiceUnavailable)
}

// sendPayload answers a polling request.
func sendPayload(w http.ResponseWriter, packets ...[]byte) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	payload := bytes.Join(packets, []byte{separator})
	_, _ = w.Write(payload) // an error means that the client is gone
}

// The packets that the server sends, besides events.
var (
	closePacket = []byte("1")
	pingPacket  = []byte("2")
	probePacket = []byte("3probe")
	noopPacket  = []byte("6")
)

func (s *Server[F]) openPacket(id sid, upgrades string) []byte {
	return fmt.Appendf(nil, `0{"sid":"%s","upgrades":[%s],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`,
		id, upgrades, s.pingInterval.Milliseconds(), s.pingTimeout.Milliseconds(), maxPayload)
}

func connectPacket() []byte { return fmt.Appendf(nil, `40{"sid":"%s"}`, randomID()) }

func connectErrorPacket(namespace string) []byte {
	return fmt.Appendf(nil, `44%s,{"message":"Invalid namespace"}`, namespace)
}
