package servers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Relay is an address whose server can be exchanged, as at a failover behind one address: new connections lead to the
// new server, while existing ones go on to the old one.
type Relay struct {
	listener net.Listener
	delays   Delays
	target   atomic.Pointer[string]
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Delays slow a relay down.
type Delays struct {
	Connect time.Duration // before each connection to the server
	Send    time.Duration // before each part of what a client sends
}

// NewRelay listens on a free port of the loopback interface.
func NewRelay(target string, delays Delays) (*Relay, error) {
	listener, err := listen(0)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{listener: listener, delays: delays, conns: make(map[net.Conn]bool)}
	r.Lead(target)
	r.running.Go(r.accept)
	return r, nil
}

// Addr is host:port.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Lead leads all further connections to another server.
func (r *Relay) Lead(target string) { r.target.Store(&target) }

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.connect(client) })
	}
}

func (r *Relay) connect(client net.Conn) {
	defer client.Close()
	time.Sleep(r.delays.Connect)
	server, err := net.Dial("tcp", *r.target.Load())
	if err != nil {
		return // the client finds its connection closed
	}
	defer server.Close()
	if !r.hold(client, server) {
		return
	}
	defer r.forget(client, server)
	var copying sync.WaitGroup
	pass := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // ends with either connection
		_, _ = client.Close(), server.Close()
	}
	copying.Go(func() { pass(client, server) })
	copying.Go(func() { pass(delayed{server, r.delays.Send}, client) })
	copying.Wait()
}

// delayed writes after a delay.
type delayed struct {
	io.Writer
	delay time.Duration
}

func (d delayed) Write(b []byte) (int, error) {
	time.Sleep(d.delay)
	return d.Writer.Write(b)
}

// hold reports false if the relay is closed.
func (r *Relay) hold(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.conns[c] = true
	}
	return !r.closed
}

func (r *Relay) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.conns, c)
	}
}

// Close closes the address and all connections.
func (r *Relay) Close() error {
	err := r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		err = errors.Join(err, ignoreClosed(c.Close()))
	}
	r.mu.Unlock()
	r.running.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
