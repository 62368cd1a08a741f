package main

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"petvote/infra/servers"
)

// freePorts are ports that this machine has free, one for each purpose.
func freePorts(t *testing.T) *Ports {
	t.Helper()
	ports := DefaultPorts()
	for _, port := range ports.All() {
		number, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		port.Number = number
	}
	return ports
}

func TestCheckNamesThePortThePurposeAndWhatChangesIt(t *testing.T) {
	for _, host := range []string{"127.0.0.1", ""} {
		ports := freePorts(t)
		if err := ports.Check(); err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(ports.Result.Number)))
		if err != nil {
			t.Fatal(err)
		}
		err = ports.Check()
		if err == nil {
			t.Fatalf("a port taken on %q is not seen", host)
		}
		for _, want := range []string{strconv.Itoa(ports.Result.Number), "the results page", "address already in use", "RESULT_PORT", "--result-port"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %q", want, err)
			}
		}
		if strings.Contains(err.Error(), "VOTE_PORT") {
			t.Errorf("%q names a free port", err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckSeesAPortWantedTwice(t *testing.T) {
	ports := freePorts(t)
	ports.Vote.Number = ports.Redis.Number
	err := ports.Check()
	if err == nil || !strings.Contains(err.Error(), "change VOTE_PORT or REDIS_PORT") {
		t.Errorf("got %v", err)
	}
}

func TestPortsFromEnvironmentNameEveryBadVariable(t *testing.T) {
	environ := map[string]string{"VOTE_PORT": "9000", "REDIS_PORT": "tcp://10.0.0.1:6379", "POSTGRES_PORT": "0"}
	ports := DefaultPorts()
	err := ports.FromEnvironment(func(name string) string { return environ[name] })
	if err == nil || !strings.Contains(err.Error(), "REDIS_PORT") || !strings.Contains(err.Error(), "POSTGRES_PORT") || strings.Contains(err.Error(), "VOTE_PORT") {
		t.Errorf("got %v", err)
	}
	if ports.Vote.Number != 9000 || ports.Result.Number != 8085 {
		t.Errorf("vote %d, result %d", ports.Vote.Number, ports.Result.Number)
	}
}
