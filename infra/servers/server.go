package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Server is a process with data of its own.
type Server interface {
	Start(ctx context.Context) error
	Discard(ctx context.Context) error
	Log() string
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

// server is a process at a place.
type server struct {
	*Process
	place
}

// startWith writes the server's files and starts it.
func (s *server) startWith(ctx context.Context, files map[string]string) error {
	err := ownDir(nil, s.Dir) // makes it
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.Dir, name), []byte(content), 0o600))
	}
	if err = errors.Join(err, ownDir(s.owner, s.Dir)); err != nil {
		return fmt.Errorf("start %s: %w", s.Name(), err)
	}
	return s.Process.Start(ctx)
}

// Discard stops the server and removes its folder. Having to kill it is an error, but the folder is removed all the
// same.
func (s *server) Discard(ctx context.Context) error {
	return errors.Join(s.Stop(ctx), os.RemoveAll(s.Dir))
}
