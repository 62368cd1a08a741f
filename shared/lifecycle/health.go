package lifecycle

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"petvote/shared/config"
	"petvote/shared/resilience"
)

// Dependency is a server that a service calls.
type Dependency struct {
	Health   func() resilience.Health
	Required bool   // the service can't do its job without it, so it is not ready
	Group    string // required ones of one group stand in for each other: one is enough; "": none does
}

// Health answers the probes. Liveness depends on nothing; readiness on the required dependencies, a gate, and draining.
// Other dependencies and findings degrade it.
type Health struct {
	dependencies []Dependency
	gate         func() error
	findings     []func() []config.Finding
	draining     atomic.Bool
}

// NewHealth returns a service's health. gate, which may be nil, returns the reason if the service is not ready.
func NewHealth(gate func() error, dependencies ...Dependency) *Health {
	if gate == nil {
		gate = func() error { return nil }
	}
	return &Health{dependencies: dependencies, gate: gate}
}

// AddFindings adds sources of findings. The service stays ready with them, but says "degraded". It must be called
// before the probes are served.
func (h *Health) AddFindings(sources ...func() []config.Finding) {
	h.findings = append(h.findings, sources...)
}

// Findings returns the findings of all sources.
func (h *Health) Findings() (found []config.Finding) {
	for _, source := range h.findings {
		found = append(found, source()...)
	}
	return found
}

// Dependencies returns the state of each dependency.
func (h *Health) Dependencies() (states []resilience.Health) {
	for _, d := range h.dependencies {
		states = append(states, d.Health())
	}
	return states
}

type report struct {
	Status       string             `json:"status"`
	Reason       string             `json:"reason,omitempty"`
	Dependencies []dependencyReport `json:"dependencies,omitempty"`
	Findings     []config.Finding   `json:"findings,omitempty"`
}

type dependencyReport struct {
	resilience.Health
	Required bool `json:"required"`
}

// Drain turns readiness because the service is stopping.
func (h *Health) Drain() { h.draining.Store(true) }

// Live answers GET /healthz.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) {
	writeReport(w, http.StatusOK, report{Status: "alive"})
}

// Ready answers GET /readyz on the public port: the status alone.
func (h *Health) Ready(w http.ResponseWriter, _ *http.Request) {
	code, r := h.check()
	writeReport(w, code, report{Status: r.Status})
}

// ReadyDetailed answers GET /readyz on the ops port, with each dependency's state.
func (h *Health) ReadyDetailed(w http.ResponseWriter, _ *http.Request) {
	code, r := h.check()
	writeReport(w, code, r)
}

func (h *Health) check() (int, report) {
	code, r := http.StatusOK, report{Status: "ready"}
	unready := func(status, reason string) {
		code, r.Status, r.Reason = http.StatusServiceUnavailable, status, reason
	}
	groupUp := map[string]bool{}
	for i, state := range h.Dependencies() {
		d := h.dependencies[i]
		r.Dependencies = append(r.Dependencies, dependencyReport{state, d.Required})
		groupUp[d.Group] = groupUp[d.Group] || state.Up
	}
	for i, d := range h.dependencies {
		state := r.Dependencies[i]
		switch {
		case state.Up:
		case d.Required && (d.Group == "" || !groupUp[d.Group]):
			unready("unavailable", state.Name+" unavailable")
		case r.Status == "ready":
			r.Status, r.Reason = "degraded", state.Name+" unavailable"
		}
	}
	if r.Findings = h.Findings(); len(r.Findings) > 0 && r.Status == "ready" {
		r.Status, r.Reason = "degraded", r.Findings[0].Setting+": "+r.Findings[0].Problem
	}
	if err := h.gate(); err != nil {
		unready("unavailable", err.Error())
	}
	if h.draining.Load() {
		unready("draining", "the service is stopping")
	}
	return code, r
}

func writeReport(w http.ResponseWriter, code int, r report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(r) // an error means that the client is gone
}
