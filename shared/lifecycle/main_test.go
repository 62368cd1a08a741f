package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFailureIsTheExitStatus(t *testing.T) {
	for want, err := range []error{nil, errors.New("listen: address already in use")} {
		if got := Main("test", func(context.Context, []string, []string, *Cleanups) error { return err }); got != want {
			t.Errorf("%v: status %d, want %d", err, got, want)
		}
	}
}

func TestASignalEndsTheContextOfTheProgram(t *testing.T) {
	cleaned := false
	status := Main("test", func(ctx context.Context, _, _ []string, cleanups *Cleanups) error {
		cleanups.Add("test", func(context.Context) error { cleaned = true; return nil })
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if status != 0 || !cleaned {
		t.Errorf("status %d, cleaned up: %v", status, cleaned)
	}
}

// ops serves a service's health for operators and returns the environment that says where.
func ops(t *testing.T, health *Health, pprof bool) []string {
	t.Helper()
	port, err := servers.FreePort()
	testenv.Must(t, err)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "petvote_viewers 1") })
	var cleanups Cleanups
	cfg := config.Service{Host: "127.0.0.1", OpsPort: config.Port(port), Pprof: pprof}
	testenv.Must(t, ServeOps(&cleanups, cfg, health, metrics))
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
	environ := ops(t, health, false)
	var answer strings.Builder
	if err := Probe(environ, &answer); err != nil || !strings.Contains(answer.String(), `"name":"postgres"`) {
		t.Errorf("a degraded service is ready, but: %v, %s", err, &answer)
	}
	health.Drain()
	answer.Reset()
	if err := Probe(environ, &answer); err == nil || !strings.Contains(answer.String(), "draining") {
		t.Errorf("err = %v, answer %s, want why it is not ready", err, &answer)
	}
}

func TestProbeFailsWhereNobodyAnswers(t *testing.T) {
	port, err := servers.FreePort()
	testenv.Must(t, err)
	err = Probe([]string{"LISTEN_HOST=127.0.0.1", "OPS_PORT=" + strconv.Itoa(port)}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("err = %v", err)
	}
}

// getOps returns an operator's answer.
func getOps(t *testing.T, environ []string, path string) (status int, body string) {
	t.Helper()
	_, port, _ := strings.Cut(environ[1], "=")
	resp, err := http.Get("http://127.0.0.1:" + port + path)
	testenv.Must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	testenv.Must(t, err)
	return resp.StatusCode, string(text)
}

func TestOperatorsGetProbesAndMetrics(t *testing.T) {
	environ := ops(t, NewHealth(nil, dependency("redis", true, true)), false)
	for path, want := range map[string]string{
		"/healthz": `{"status":"alive"}`, "/readyz": `"dependencies":[{"name":"redis"`, "/metrics": "petvote_viewers 1",
	} {
		if status, body := getOps(t, environ, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Connections that nobody closes must not use up what the service can open.
func TestOperatorsGetAnAnswerBehindAnyNumberOfIdleConnections(t *testing.T) {
	environ := ops(t, NewHealth(nil), false)
	_, port, _ := strings.Cut(environ[1], "=")
	closed := make(chan struct{}, 2*maxOpsConnections)
	for range 2 * maxOpsConnections {
		idle, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = idle.Close() })
		go func() {
			_, _ = idle.Read(make([]byte, 1)) // ends when either side closes it
			closed <- struct{}{}
		}()
	}
	if status, body := getOps(t, environ, "/healthz"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	deadline := time.After(10 * time.Second)
	for n := range maxOpsConnections {
		select {
		case <-closed:
		case <-deadline:
			t.Fatalf("of %d connections only %d were closed", 2*maxOpsConnections, n)
		}
	}
}

func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	for profiles, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		environ := ops(t, NewHealth(nil), profiles)
		for _, name := range []string{"mutex", "heap", "profile?seconds=6"} { // longer than the server reads
			status, body := getOps(t, environ, "/debug/pprof/"+name)
			if gzipped := strings.HasPrefix(body, "\x1f\x8b"); status != want || gzipped != profiles {
				t.Errorf("%s, profiles %t: status %d, %d bytes; want %d", name, profiles, status, len(body), want)
			}
		}
	}
}

func TestAPortThatIsTakenIsNamedByItsVariable(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	testenv.Must(t, err)
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
	if done, err := Subcommand("vote", nil, nil); done || err != nil {
		t.Errorf("without arguments: done %v, %v", done, err)
	}
	environ := ops(t, NewHealth(nil), false)
	if done, err := Subcommand("vote", []string{"health"}, environ); !done || err != nil {
		t.Errorf("health: done %v, %v", done, err)
	}
	for _, args := range []string{"help", "-h", "-help", "--help", "health --help", "version -h"} {
		if done, err := Subcommand("vote", strings.Fields(args), nil); !done || err != nil {
			t.Errorf("%s: done %v, %v", args, done, err)
		}
	}
	for _, args := range [][]string{{"health", "now"}, {"version", "now"}} {
		done, err := Subcommand("vote", args, environ, "dead       manage the dead letters")
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

func TestTheVersionIsTheLinkersElseGosStamp(t *testing.T) {
	stamp := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.modified", Value: modified}, {Key: "vcs.revision", Value: "0f3c"},
		}}
	}
	unstamped := debug.Module{Version: "(devel)"}
	for name, c := range map[string]struct {
		version, revision string
		info              *debug.BuildInfo
		want              Build
	}{
		"set by the linker":    {"v1.2.0", "ab12", stamp("v0.9.0", "true"), Build{"v1.2.0", "ab12", ""}},
		"a clean checkout":     {"", "", stamp("v1.1.0", "false"), Build{"v1.1.0", "0f3c", ""}},
		"a changed checkout":   {"", "", stamp("v1.1.0+dirty", "true"), Build{"v1.1.0+dirty", "0f3c-dirty", ""}},
		"go run":               {"", "", &debug.BuildInfo{Main: unstamped}, Build{"devel", "unknown", ""}},
		"no build info at all": {"", "", &debug.BuildInfo{}, Build{"devel", "unknown", ""}},
	} {
		c.want.Go = runtime.Version()
		if got := buildOf(c.version, c.revision, c.info); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheVersionIsPrintedIfAskedFor(t *testing.T) {
	line := "vote " + ThisBuild().String() + "\n"
	for args, want := range map[string]string{"": "", "health": "", "version": line, "--version": line, "version x": ""} {
		var out strings.Builder
		if asked := PrintVersion(&out, "vote", strings.Fields(args)); asked != (want != "") || out.String() != want {
			t.Errorf("%q: %v, printed %q, want %q", args, asked, out.String(), want)
		}
	}
}
