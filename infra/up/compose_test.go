package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func TestAnEngineOrComposeThatIsTooOldIsRefused(t *testing.T) {
	for version, old := range map[string]bool{
		"24.0.9": true, "20.10.24+dfsg1": true, "19.03.15": true,
		"25.0": false, "25.0.0": false, "26.1.5+dfsg1": false, "v29.0.1": false, "dev": false, "": false,
	} {
		if err := tooOld("Docker Engine", version, minEngine); (err != nil) != old {
			t.Errorf("%q: %v", version, err)
		}
	}
	for version, old := range map[string]bool{
		"2.17.2": true, "2.20.3": false, "2.20.3-desktop.1": false, "v2.26.1-4": false, "5.0.0-beta.1": false,
	} {
		if err := tooOld("Docker Compose", version, minCompose); (err != nil) != old {
			t.Errorf("%q: %v", version, err)
		}
	}
	err := tooOld("Docker Engine", "24.0.9", minEngine)
	if !strings.Contains(err.Error(), "24.0.9") || !strings.Contains(err.Error(), "25.0.0 or later") {
		t.Errorf("it says %q", err)
	}
}

func TestTheStacksPortsAreReadFromItsConfiguration(t *testing.T) {
	found, err := publishedPorts([]byte(`{"services":{
		"vote":{"ports":[{"mode":"ingress","host_ip":"127.0.0.1","target":8084,"published":"9084","protocol":"tcp"}]},
		"jaeger":{"ports":[{"target":16686,"published":"16686"},{"target":4318}]},"worker":{}}}`))
	var got []string
	for _, p := range found {
		got = append(got, fmt.Sprintf("%s%s:%d%s", p.purpose, p.host, *p.number, p.variable))
	}
	if text := strings.Join(got, " "); err != nil || text != "jaeger:16686JAEGER_PORT vote127.0.0.1:9084VOTE_PORT" {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := publishedPorts([]byte("time=… level=warning")); err == nil {
		t.Error("no error")
	}
}

func TestAPortThatCanNotBeUsedIsNamedWithItsPurposeAndVariable(t *testing.T) {
	number := func() *int {
		n, err := servers.FreePort()
		testenv.Must(t, err)
		return &n
	}
	result := &port{number(), "RESULT_PORT", "the results page", ""}
	grafana := &port{number(), "GRAFANA_PORT", "grafana", servers.Loopback}
	free := &port{number(), "VOTE_PORT", "the vote page", ""}
	wanted := []*port{result, grafana, free}
	testenv.Must(t, checkPorts(wanted))
	for _, host := range []string{servers.Loopback, ""} {
		for p, choice := range map[*port]string{
			result: "./scripts/up --result-port N", grafana: "GRAFANA_PORT=N ./scripts/up",
		} {
			listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(*p.number)))
			testenv.Must(t, err)
			want := fmt.Sprintf("port %d, for %s, can't be used (another program listens there): "+
				"free it, or choose another: %s", *p.number, p.purpose, choice)
			if err := checkPorts(wanted); err == nil || err.Error() != want {
				t.Errorf("taken on %q: %v, want %s", host, err, want)
			}
			_ = listener.Close()
		}
	}
	free.number = result.number
	if err := checkPorts(wanted); err == nil || !strings.Contains(err.Error(), "change RESULT_PORT or VOTE_PORT") {
		t.Errorf("one port for two: %v", err)
	}
}
