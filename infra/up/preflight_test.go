package main

import (
	"net"
	"slices"
	"strings"
	"testing"
)

func TestAnEngineOrComposeThatIsTooOldIsToldWithWhatToDo(t *testing.T) {
	for version, old := range map[string]bool{
		"24.0.9": true, "20.10.24+dfsg1": true, "25.0": false, "25.0.0": false, "26.1.5+dfsg1": false, "v29.0.1": false, "dev": false, "": false,
	} {
		if err := tooOld("Docker Engine", version, minEngine); (err != nil) != old {
			t.Errorf("%q: %v", version, err)
		}
	}
	for version, old := range map[string]bool{"2.17.2": true, "2.20.3": false, "v2.26.1-4": false, "5.0.0-beta.1": false} {
		if err := tooOld("Docker Compose", version, minCompose); (err != nil) != old {
			t.Errorf("%q: %v", version, err)
		}
	}
	if err := tooOld("Docker Engine", "24.0.9", minEngine); !strings.Contains(err.Error(), "24.0.9") || !strings.Contains(err.Error(), "25.0 or later") {
		t.Errorf("it says %q", err)
	}
}

func TestTheStacksPortsAreReadFromItsConfiguration(t *testing.T) {
	got, err := publishedPorts([]byte(`{"services":{
		"vote":{"ports":[{"mode":"ingress","host_ip":"127.0.0.1","target":8084,"published":"9084","protocol":"tcp"}]},
		"jaeger":{"ports":[{"target":16686,"published":"16686"},{"target":4318}]},"worker":{}}}`))
	if want := []publishedPort{{"jaeger", "", "16686"}, {"vote", "127.0.0.1", "9084"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if _, err := publishedPorts([]byte("time=… level=warning")); err == nil {
		t.Error("no error")
	}
}

func TestAPortThatIsTakenIsToldWithTheVariableThatChangesIt(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	wanted := []publishedPort{{"grafana", "127.0.0.1", port}}
	if err := taken(wanted); err == nil || !strings.Contains(err.Error(), port) || !strings.Contains(err.Error(), "another program listens there") ||
		!strings.Contains(err.Error(), "GRAFANA_PORT=… ./scripts/up") {
		t.Errorf("it says %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := taken(wanted); err != nil {
		t.Errorf("a free port: %v", err)
	}
}
