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

// dependency is one in a state that does not change.
func dependency(name string, up, required bool) Dependency {
	h := resilience.Health{Name: name, Up: up, Since: since, Breaker: "closed"}
	if !up {
		h.Breaker, h.LastError, h.ErrorAt = "open", "dial tcp 10.1.2.3:6379: connection refused", since
	}
	return Dependency{Health: func() resilience.Health { return h }, Required: required}
}

func ask(h http.HandlerFunc) (int, string) {
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestReadinessLooksAtRequiredDependenciesGateAndDraining(t *testing.T) {
	const up, down, required, optional = true, false, true, false
	shut := func() error { return errors.New("no tally has been read yet") }
	for name, c := range map[string]struct {
		gate         func() error
		dependencies []Dependency
		drain        bool
		code         int
		status       string
	}{
		"nothing to look at":              {code: 200, status: "ready"},
		"all up":                          {dependencies: []Dependency{dependency("redis", up, required), dependency("postgres", up, optional)}, code: 200, status: "ready"},
		"an optional one is away":         {dependencies: []Dependency{dependency("postgres", down, optional)}, code: 200, status: "degraded"},
		"a required one is away":          {dependencies: []Dependency{dependency("redis", down, required)}, code: 503, status: "unavailable"},
		"a required and an optional one":  {dependencies: []Dependency{dependency("redis", down, required), dependency("postgres", down, optional)}, code: 503, status: "unavailable"},
		"an optional and a required one":  {dependencies: []Dependency{dependency("postgres", down, optional), dependency("redis", down, required)}, code: 503, status: "unavailable"},
		"the gate is shut":                {gate: shut, dependencies: []Dependency{dependency("postgres", up, optional)}, code: 503, status: "unavailable"},
		"the gate is shut and one away":   {gate: shut, dependencies: []Dependency{dependency("postgres", down, optional)}, code: 503, status: "unavailable"},
		"draining":                        {dependencies: []Dependency{dependency("redis", up, required)}, drain: true, code: 503, status: "draining"},
		"draining, and a required away":   {dependencies: []Dependency{dependency("redis", down, required)}, drain: true, code: 503, status: "draining"},
		"draining, and the gate was shut": {gate: shut, drain: true, code: 503, status: "draining"},
	} {
		h := NewHealth(c.gate, c.dependencies...)
		if c.drain {
			h.Drain()
		}
		code, public := ask(h.Ready)
		if want := `{"status":"` + c.status + `"}`; code != c.code || public != want {
			t.Errorf("%s: %d %s, want %d %s and no more", name, code, public, c.code, want)
		}
		if full, body := ask(h.ReadyDetailed); full != c.code || !strings.HasPrefix(body, `{"status":"`+c.status+`"`) {
			t.Errorf("%s, for operators: %d %s", name, full, body)
		}
		if code, body := ask(h.Live); code != 200 || body != `{"status":"alive"}` {
			t.Errorf("%s, liveness: %d %s", name, code, body)
		}
	}
}

func TestOperatorsAreToldEachDependencysState(t *testing.T) {
	h := NewHealth(nil, dependency("redis", true, true), dependency("postgres", false, false))
	_, body := ask(h.ReadyDetailed)
	const want = `{"status":"degraded","reason":"postgres is away","dependencies":[` +
		`{"name":"redis","up":true,"since":"2026-01-02T03:04:05Z","breaker":"closed","required":true},` +
		`{"name":"postgres","up":false,"since":"2026-01-02T03:04:05Z","breaker":"open",` +
		`"last_error":"dial tcp 10.1.2.3:6379: connection refused","last_error_at":"2026-01-02T03:04:05Z","required":false}]}`
	if body != want {
		t.Errorf("answer\n%s\nwant\n%s", body, want)
	}
}

func TestTheGateIsAskedEachTime(t *testing.T) {
	var shut error = errors.New("not yet")
	h := NewHealth(func() error { return shut })
	if code, body := ask(h.ReadyDetailed); code != 503 || !strings.Contains(body, `"reason":"not yet"`) {
		t.Errorf("shut: %d %s", code, body)
	}
	shut = nil
	if code, _ := ask(h.ReadyDetailed); code != 200 {
		t.Errorf("open: %d", code)
	}
}

func TestProbesAreNotCached(t *testing.T) {
	w := httptest.NewRecorder()
	NewHealth(nil).Ready(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("header %v", w.Header())
	}
}
