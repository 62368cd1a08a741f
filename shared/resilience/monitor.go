package resilience

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Health is a dependency's state.
type Health struct {
	Name      string    `json:"name"`
	Up        bool      `json:"up"`
	Since     time.Time `json:"since"`   // of the last change of Up
	Breaker   string    `json:"breaker"` // "closed", "half-open", "open"
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"last_error_at,omitzero"`
}

// Monitor pings one dependency at a steady pace and logs when it becomes unavailable or available again. Pings have a
// breaker of their own: a ping that succeeds must neither excuse failed calls nor close their breaker.
type Monitor struct {
	policy *Policy // of the watched calls
	pings  *Policy
	ping   func(context.Context) error

	mu      sync.Mutex
	known   bool
	lost    int // pings in a row
	state   Health
	changed chan struct{} // closed and replaced when state.Up changes
}

// lostPings in a row are an outage; one may be a pause of the dependency's, or the end of a connection.
const lostPings = 2

const (
	pingEvery   = 500 * time.Millisecond
	pingTimeout = time.Second // shows a hanging dependency soon, even where a call may take long
)

// NewMonitor returns a monitor that reports "down" until the first ping of [Monitor.Run] succeeds. Pings must be cheap.
func NewMonitor(p *Policy, ping func(context.Context) error) *Monitor {
	return &Monitor{
		policy: p, ping: ping,
		pings: New(Settings{Name: p.Name() + "-ping", Timeout: pingTimeout, OpenFor: pingEvery / 2,
			Permanent: p.settings.Permanent}),
		state: Health{Name: p.Name(), Since: time.Now()}, changed: make(chan struct{}),
	}
}

// Run pings until ctx ends; it always returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		err := m.pings.Once(ctx, m.ping) // the ticks are the retries
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

// Health returns the dependency's state. It is up if one of the last two pings succeeded and the watched calls' breaker
// is closed, or half-open without a recent failure, so that a service without traffic becomes ready again.
func (m *Monitor) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.state
	breaker := m.policy.Breaker()
	h.Breaker = breaker.String()
	if f := m.policy.failure.Load(); f != nil && f.at.After(h.ErrorAt) {
		h.LastError, h.ErrorAt = f.err.Error(), f.at.UTC()
	}
	h.Up = h.Up && m.policy.usable(breaker)
	return h
}

// Up is the field Up of [Monitor.Health], at less cost.
func (m *Monitor) Up() bool {
	m.mu.Lock()
	up := m.state.Up
	m.mu.Unlock()
	return up && m.policy.usable(m.policy.Breaker())
}

// WaitUp returns nil as soon as one of the last two pings succeeded, or the context's error.
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
	if err != nil && !Refused(err) { // the error that opened the breaker is noted already
		m.state.LastError, m.state.ErrorAt = err.Error(), time.Now().UTC()
	}
	up := err == nil
	if m.lost++; up {
		m.lost = 0
	}
	if m.known && (up == m.state.Up || !up && m.lost < lostPings) {
		return
	}
	m.known = true
	close(m.changed)
	m.changed = make(chan struct{})
	m.state.Up, m.state.Since = up, time.Now().UTC()
	if up {
		slog.InfoContext(ctx, "dependency available", "dependency", m.policy.Name())
	} else {
		slog.WarnContext(ctx, "dependency unavailable; waiting", "dependency", m.policy.Name(), "error", err)
	}
}
