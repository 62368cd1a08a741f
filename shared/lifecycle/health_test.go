package lifecycle

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"petvote/shared/resilience"
)

var since = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// dependency returns one whose state does not change.
func dependency(name string, up, required bool) Dependency {
	h := resilience.Health{Name: name, Up: up, Since: since, Breaker: "closed"}
	if !up {
		h.Breaker, h.LastError, h.ErrorAt = "open", "dial tcp 10.1.2.3:6379: connection refused", since
	}
	return Dependency{Health: func() resilience.Health { return h }, Required: required}
}

// ask returns a probe's answer, which must be JSON that nobody caches.
func ask(t *testing.T, h http.HandlerFunc) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("header %v", w.Header())
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestReadinessDependsOnRequiredDependenciesGateAndDraining(t *testing.T) {
	const required, optional = true, false
	up := func(name string, required bool) Dependency { return dependency(name, true, required) }
	down := func(name string, required bool) Dependency { return dependency(name, false, required) }
	spare := func(d Dependency) Dependency { d.Group = "redis"; return d }
	shut := func() error { return errors.New("no tally has been read yet") }
	for name, c := range map[string]struct {
		gate         func() error
		dependencies []Dependency
		drain        bool
		code         int
		status       string
	}{
		"no dependencies":         {nil, nil, false, 200, "ready"},
		"all up":                  {nil, []Dependency{up("redis", required), up("postgres", optional)}, false, 200, "ready"},
		"optional down":           {nil, []Dependency{down("postgres", optional)}, false, 200, "degraded"},
		"required down":           {nil, []Dependency{down("redis", required)}, false, 503, "unavailable"},
		"required, optional down": {nil, []Dependency{down("a", required), down("b", optional)}, false, 503, "unavailable"},
		"optional, required down": {nil, []Dependency{down("a", optional), down("b", required)}, false, 503, "unavailable"},
		"one of a group down": {nil, []Dependency{spare(down("a", required)), spare(up("b", required))}, false, 200,
			"degraded"},
		"a whole group down": {nil, []Dependency{spare(down("a", required)), spare(down("b", required)),
			up("c", required)}, false, 503, "unavailable"},
		"one of a group and another down": {nil, []Dependency{spare(down("a", required)), spare(up("b", required)),
			down("c", required)}, false, 503, "unavailable"},
		"gate shut":               {shut, []Dependency{up("postgres", optional)}, false, 503, "unavailable"},
		"gate shut and one down":  {shut, []Dependency{down("postgres", optional)}, false, 503, "unavailable"},
		"draining":                {nil, []Dependency{up("redis", required)}, true, 503, "draining"},
		"draining, required down": {nil, []Dependency{down("redis", required)}, true, 503, "draining"},
		"draining, gate shut":     {shut, nil, true, 503, "draining"},
	} {
		h := NewHealth(c.gate, c.dependencies...)
		if c.drain {
			h.Drain()
		}
		code, public := ask(t, h.Ready)
		if want := `{"status":"` + c.status + `"}`; code != c.code || public != want {
			t.Errorf("%s: %d %s, want %d %s and no more", name, code, public, c.code, want)
		}
		if full, body := ask(t, h.ReadyDetailed); full != c.code || !strings.HasPrefix(body, `{"status":"`+c.status+`"`) {
			t.Errorf("%s, for operators: %d %s", name, full, body)
		}
		if code, body := ask(t, h.Live); code != 200 || body != `{"status":"alive"}` {
			t.Errorf("%s, liveness: %d %s", name, code, body)
		}
	}
}

func TestTheOpsPortReportsEachDependencysState(t *testing.T) {
	var shut error
	h := NewHealth(func() error { return shut }, dependency("redis", true, true), dependency("postgres", false, false))
	_, body := ask(t, h.ReadyDetailed)
	const want = `{"status":"degraded","reason":"postgres unavailable","dependencies":[` +
		`{"name":"redis","up":true,"since":"2026-01-02T03:04:05Z","breaker":"closed","required":true},` +
		`{"name":"postgres","up":false,"since":"2026-01-02T03:04:05Z","breaker":"open",` +
		`"last_error":"dial tcp 10.1.2.3:6379: connection refused","last_error_at":"2026-01-02T03:04:05Z","required":false}]}`
	if body != want {
		t.Errorf("answer\n%s\nwant\n%s", body, want)
	}
	shut = errors.New("not yet")
	if _, body := ask(t, h.ReadyDetailed); !strings.HasPrefix(body, `{"status":"unavailable","reason":"not yet",`) {
		t.Errorf("the gate has shut: %s", body)
	}
}
