package servers

import (
	"fmt"
	"net"
	"strconv"
	"sync"
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
