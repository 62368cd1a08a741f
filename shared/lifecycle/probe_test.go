package lifecycle

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"petvote/infra/servers"
	"petvote/shared/config"
)

// ops serves a service's health for operators and returns the environment that says where.
func ops(t *testing.T, health *Health) []string {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "petvote_viewers 1") })
	var cleanups Cleanups
	cfg := config.Service{Host: "127.0.0.1", OpsPort: config.Port(port)}
	if err := ServeOps(&cleanups, cfg, health, metrics); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := cleanups.Run(); err != nil {
			t.Error(err)
		}
	})
	return []string{"LISTEN_HOST=127.0.0.1", "OPS_PORT=" + strconv.Itoa(port)}
}

func TestProbeTellsAReadyServiceFromOneThatIsNot(t *testing.T) {
	health := NewHealth(nil, dependency("postgres", false, false))
	environ := ops(t, health)
	var answer strings.Builder
	if err := Probe(t.Context(), environ, &answer); err != nil || !strings.Contains(answer.String(), `"name":"postgres"`) {
		t.Errorf("a degraded service is ready, but: %v, %s", err, &answer)
	}
	health.Drain()
	answer.Reset()
	if err := Probe(t.Context(), environ, &answer); err == nil || !strings.Contains(answer.String(), "draining") {
		t.Errorf("err = %v, answer %s, want why it is not ready", err, &answer)
	}
}

func TestProbeFailsWhereNobodyAnswers(t *testing.T) {
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	err = Probe(t.Context(), []string{"LISTEN_HOST=127.0.0.1", "OPS_PORT=" + strconv.Itoa(port)}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("err = %v", err)
	}
}

func TestProbeNamesABadPort(t *testing.T) {
	err := Probe(t.Context(), []string{"OPS_PORT=70000"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `OPS_PORT="70000"`) {
		t.Errorf("err = %v", err)
	}
}

func TestOperatorsGetProbesAndMetrics(t *testing.T) {
	environ := ops(t, NewHealth(nil, dependency("redis", true, true)))
	_, port, _ := strings.Cut(environ[1], "=")
	for path, want := range map[string]string{
		"/healthz": `{"status":"alive"}`, "/readyz": `"dependencies":[{"name":"redis"`, "/metrics": "petvote_viewers 1",
	} {
		resp, err := http.Get("http://127.0.0.1:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, body, err)
		}
	}
}

func TestAPortThatIsTakenIsNamedByItsVariable(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := config.Service{Host: "127.0.0.1", OpsPort: config.Port(taken.Addr().(*net.TCPAddr).Port)}
	var cleanups Cleanups
	err = ServeOps(&cleanups, cfg, NewHealth(nil), http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "OPS_PORT") {
		t.Errorf("err = %v", err)
	}
	if err := cleanups.Run(); err != nil {
		t.Errorf("there was something to clean up: %v", err)
	}
}

func TestSubcommandHealthProbesAndAnythingElseIsAnsweredWithTheUsage(t *testing.T) {
	if done, err := Subcommand(t.Context(), "vote", nil, nil); done || err != nil {
		t.Errorf("without arguments: done %v, %v", done, err)
	}
	environ := ops(t, NewHealth(nil))
	if done, err := Subcommand(t.Context(), "vote", []string{"health"}, environ); !done || err != nil {
		t.Errorf("health: done %v, %v", done, err)
	}
	if done, err := Subcommand(t.Context(), "vote", []string{"help"}, nil); !done || err != nil {
		t.Errorf("help: done %v, %v", done, err)
	}
	for _, args := range [][]string{{"health", "now"}, {"version", "now"}} {
		done, err := Subcommand(t.Context(), "vote", args, environ, "dead       manage the dead letters")
		if !done || err == nil {
			t.Errorf("%q: done %v, %v", args, done, err)
			continue
		}
		for _, want := range []string{strconv.Quote(strings.Join(args, " ")), "usage: vote ", "vote health ", "vote dead "} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the message lacks %q: %v", args, want, err)
			}
		}
	}
}
