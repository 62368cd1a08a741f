package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"petvote/shared/config"
)

// drainTimeout bounds the wait for requests in progress once the server has stopped accepting.
const drainTimeout = 5 * time.Second

// Server is a service's public HTTP server.
type Server struct {
	Listener net.Listener
	Handler  http.Handler
	Health   *Health
	// DrainDelay is how long the server still accepts requests once unready, so that load balancers can notice.
	DrainDelay time.Duration
	// IdleTimeout is how long a connection without a request is kept.
	IdleTimeout time.Duration
	// MaxConnections bounds the open connections. When all are in use, another takes the place of one that is idle or
	// half-open or, if all have requests, of one whose answer ends it.
	MaxConnections int
	// OnDrain, which may be nil, ends the handlers that would not end by themselves.
	OnDrain func()
}

// Run serves until ctx ends, then until every accepted request is answered. While draining it answers with
// "Connection: close", so that no client sends a request into a closing connection.
func (s *Server) Run(ctx context.Context) error {
	connections := limitConnections(s.Listener, s.MaxConnections)
	server := newHTTPServer(connections, s.endWhileDraining(s.Handler), s.IdleTimeout)
	if s.OnDrain != nil {
		server.RegisterOnShutdown(s.OnDrain)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(connections) }()
	slog.InfoContext(ctx, "serving", "address", s.Listener.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	slog.Info("draining", "delay", s.DrainDelay.String())
	s.Health.Drain()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(s.DrainDelay):
	}
	bound, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		return fmt.Errorf("drain: %w", errors.Join(err, server.Close()))
	}
	return nil
}

func (s *Server) endWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Health.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// maxOpsConnections is more than scrapers, probes and profiles need.
const maxOpsConnections = 64

// ServeOps serves probes, metrics and, if configured, Go's profiles on the ops port until the clean-up.
func ServeOps(c *Cleanups, cfg config.Service, health *Health, metrics http.Handler) error {
	listener, err := net.Listen("tcp", cfg.OpsPort.On(cfg.Host))
	if err != nil {
		return fmt.Errorf("listen for operators (OPS_PORT): %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.ReadyDetailed)
	mux.Handle("GET /metrics", metrics)
	if cfg.Pprof {
		serveProfiles(mux)
	}
	connections := limitConnections(listener, maxOpsConnections)
	server := newHTTPServer(connections, mux, time.Duration(cfg.IdleTimeout))
	c.Background("ops server", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(connections) }()
		select {
		case err := <-served:
			slog.Error("ops server exited", "error", err)
			return err
		case <-ctx.Done():
			return server.Shutdown(context.WithoutCancel(ctx))
		}
	})
	return nil
}

func newHTTPServer(c *connections, h http.Handler, idleTimeout time.Duration) *http.Server {
	return &http.Server{
		Handler:   c.shedding(boundBody(h)),
		ConnState: c.note,
		// Limits of a client's share of the server's time and memory.
		WriteTimeout:   10 * time.Second, // a handler that streams sets its own deadlines
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: 16 << 10,
		// It also bounds the wait for a connection's first request. Clients and proxies dial connections that they may use
		// only later: one that ends sooner than an idle one can meet its first request, which is then lost. A
		// connection without a whole header is among the first to be closed for another.
		ReadHeaderTimeout: idleTimeout,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
}

// bodyTimeout bounds the time in which a request's body must have come.
const bodyTimeout = 5 * time.Second

// boundBody takes the place of http.Server.ReadTimeout, which counts from the beginning of a connection.
func boundBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // else the deadline would end the watch for a client that leaves
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // the server's own can be set
		}
		next.ServeHTTP(w, r)
	})
}

// serveProfiles serves Go's profiles. They reveal much and cost CPU: so on the ops port only, and off by default. The
// import also registers them on http.DefaultServeMux, which is served nowhere.
func serveProfiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(100)                     // samples one contention in 100
	runtime.SetBlockProfileRate(int(100 * time.Microsecond)) // samples one event for each 100 µs blocked
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the server's own would end the request early
		pprof.Profile(w, r)
	})
}
