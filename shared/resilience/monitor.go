package resilience

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Health is what is known of a dependency.
type Health struct {
	Name      string    `json:"name"`
	Up        bool      `json:"up"`
	Since     time.Time `json:"since"`   // of the last change of Up
	Breaker   string    `json:"breaker"` // "closed", "half-open", "open"
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"last_error_at,omitzero"`
}

// Monitor pings one dependency at a steady pace. It says in the log when the dependency goes and when it comes back, so
// that a service that waits tells what for. Its pings have a breaker of their own: that a ping gets through says nothing
// of the calls that the watched policy makes, and must neither excuse their failures nor close their breaker.
type Monitor struct {
	policy *Policy // the one that is watched
	pings  *Policy
	every  time.Duration
	ping   func(context.Context) error

	mu      sync.Mutex
	known   bool
	state   Health
	changed chan struct{} // closed and replaced when state.Up changes
}

// pingTimeout bounds a ping, so that a dependency that hangs is seen soon even where a call may take long.
const pingTimeout = time.Second

// NewMonitor returns a monitor that takes the dependency for down until [Monitor.Run] has reached it. ping must be
// cheap and safe to repeat.
func NewMonitor(p *Policy, every time.Duration, ping func(context.Context) error) *Monitor {
	pings := New(Settings{Name: p.Name() + "-ping", Timeout: pingTimeout, OpenFor: every / 2, Classify: p.settings.Classify})
	return &Monitor{policy: p, pings: pings, every: every, ping: ping, state: Health{Name: p.Name(), Since: time.Now()}, changed: make(chan struct{})}
}

// Run pings until ctx ends; it always returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	for {
		// One attempt for each tick: the ticks are the retries.
		err := m.pings.once(ctx, m.ping)
		if ctx.Err() != nil {
			return nil
		}
		m.note(ctx, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Health returns the dependency's state. It is up while the last ping went through and the watched calls do: their
// breaker is closed, or half open with no failure lately, so that a service without traffic becomes ready again.
func (m *Monitor) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.state
	breaker := m.policy.Breaker()
	h.Breaker = breaker.String()
	if f := m.policy.failure.Load(); f != nil && f.at.After(h.ErrorAt) {
		h.LastError, h.ErrorAt = f.err.Error(), f.at.UTC()
	}
	h.Up = h.Up && (breaker == Closed || breaker == HalfOpen && !m.policy.failing())
	return h
}

// WaitUp returns when the dependency is up as of the last ping, or with the context's error.
func (m *Monitor) WaitUp(ctx context.Context) error {
	for {
		m.mu.Lock()
		up, changed := m.state.Up, m.changed
		m.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (m *Monitor) note(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !Refused(err) { // a refusal repeats an error that is noted already
		m.state.LastError, m.state.ErrorAt = err.Error(), time.Now().UTC()
	}
	up := err == nil
	if m.known && up == m.state.Up {
		return
	}
	m.known = true
	close(m.changed)
	m.changed = make(chan struct{})
	m.state.Up, m.state.Since = up, time.Now().UTC()
	if up {
		slog.InfoContext(ctx, "dependency is up", "dependency", m.policy.Name())
	} else {
		slog.WarnContext(ctx, "waiting for dependency", "dependency", m.policy.Name(), "error", err)
	}
}
