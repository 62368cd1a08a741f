package servers

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Loopback is the address every server listens on.
const Loopback = "127.0.0.1"

// FreePort's ports lie below the range from which Linux (32768 up) and macOS (49152 up) take the local ports of
// outgoing connections. A port of that range would not stay free while its server is down: another connection may take
// it, and a client that dials it again and again may even connect to itself.
const (
	lastBlock  = 29_800
	blockCount = 50
	blockSize  = 200
)

// block is this process's own range of ports, held by a listener on its first one, which is never given out. Programs
// that run at the same time hold different ranges, so none takes the port of another's server that is down for a while.
// The kernel frees the range when the process ends.
var block = sync.OnceValues(func() (net.Listener, error) {
	for i := range blockCount {
		if holder, err := listen(lastBlock - i*blockSize); err == nil {
			return holder, nil
		}
	}
	return nil, fmt.Errorf("%d other programs hold all ports up to %d", blockCount, lastBlock+blockSize)
})

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(Loopback, strconv.Itoa(port)))
}

var next struct {
	sync.Mutex
	offset int
}

// FreePort returns a TCP port of the loopback interface on which nothing listens. It returns none twice until it has
// returned 199, so a server that is down for a while finds its port free again.
func FreePort() (int, error) {
	holder, err := block()
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	first := holder.Addr().(*net.TCPAddr).Port
	next.Lock()
	defer next.Unlock()
	for range blockSize {
		port := first + next.offset
		next.offset = (next.offset + 1) % blockSize
		if listener, err := listen(port); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: none from %d to %d", first, first+blockSize-1)
}

// place is where a server listens, on the loopback interface, and keeps its data, and whose they are. It stays the same
// over all starts.
type place struct {
	Dir   string
	Port  int
	owner *syscall.Credential // nil: this process's own user
}

// newPlace takes a free port for the port 0.
func newPlace(dir string, port int, user string) (p place, err error) {
	if p.Dir, err = filepath.Abs(dir); err != nil {
		return p, err
	}
	if p.owner, err = unprivileged(user); err != nil {
		return p, err
	}
	if p.Port = port; port == 0 {
		p.Port, err = FreePort()
	}
	return p, err
}

// Addr is host:port.
func (p place) Addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(p.Port)) }
