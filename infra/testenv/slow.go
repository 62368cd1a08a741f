package testenv

import (
	"io"
	"net"
	"testing"
	"time"

	"petvote/infra/servers"
)

// SlowToConnect returns an address that leads to another one, after a delay for each connection.
func SlowToConnect(t testing.TB, to string, delay time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(servers.Loopback, "0"))
	Must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	pass := func(client net.Conn) {
		defer client.Close()
		time.Sleep(delay)
		server, err := net.Dial("tcp", to)
		if err != nil {
			return // the client finds its connection closed
		}
		defer server.Close()
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client)
		}
	}()
	return listener.Addr().String()
}
