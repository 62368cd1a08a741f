package servers

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// EarlyExit is the error of a process that ended before it was ready.
type EarlyExit struct {
	Name   string
	Err    error  // how it ended; nil is status 0
	Output string // the end of its output
}

// Error has the end of the process's output, since the reason is usually in it.
func (e *EarlyExit) Error() string {
	how := cmp.Or(e.Err, errors.New("exit status 0"))
	return fmt.Sprintf("%s ended before it was ready (%v):\n%s", e.Name, how, e.Output)
}

// Unwrap returns the error of os/exec.
func (e *EarlyExit) Unwrap() error { return e.Err }

// tail passes output on and remembers the end of it.
type tail struct {
	next io.Writer // may be nil

	mu   sync.Mutex
	last []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.last = append(t.last, b...)
	t.last = append(t.last[:0], t.last[max(len(t.last)-tailSize, 0):]...)
	t.mu.Unlock()
	if t.next == nil {
		return len(b), nil
	}
	return t.next.Write(b)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
