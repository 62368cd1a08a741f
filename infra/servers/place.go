package servers

import (
	"net"
	"path/filepath"
	"strconv"
)

// place is where a server listens and keeps its data. It stays the same over all starts.
type place struct {
	dir  string
	port int
}

// newPlace takes a free port for the port 0.
func newPlace(dir string, port int) (p place, err error) {
	if p.dir, err = filepath.Abs(dir); err != nil {
		return p, err
	}
	if p.port = port; port == 0 {
		p.port, err = FreePort()
	}
	return p, err
}

// Host is the loopback address.
func (p place) Host() string { return Loopback }

// Port is the TCP port.
func (p place) Port() int { return p.port }

// Addr is host:port.
func (p place) Addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(p.port)) }

// Dir is the folder of the data.
func (p place) Dir() string { return p.dir }
