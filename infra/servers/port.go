package servers

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Loopback is the address every server listens on.
const Loopback = "127.0.0.1"

// The ports that FreePort gives lie below the range from which Linux (32768 up) and macOS (49152 up) take the local ports of
// outgoing connections. A port of that range would not stay free while its server is down: another connection may take it,
// and a client that dials it again and again may even connect to itself.
const (
	firstPort = 20_000
	portCount = 10_000
)

// nextPort starts at another place in each process, so that test programs that run at the same time seldom meet.
var nextPort atomic.Uint32

func init() { nextPort.Store(uint32(os.Getpid()) * 97) }

// FreePort gives a TCP port of the loopback interface on which nothing listens. It gives no port twice until all have been
// given, so a server that is down for a while finds its port free again.
func FreePort() (int, error) {
	for range portCount {
		port := firstPort + int(nextPort.Add(1)%portCount)
		listener, err := net.Listen("tcp", net.JoinHostPort(Loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: none from %d to %d", firstPort, firstPort+portCount-1)
}
