package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of every server: what a client may take of its time and memory.
const (
	readHeaderTimeout = 2 * time.Second
	readTimeout       = 5 * time.Second
	writeTimeout      = 10 * time.Second // a handler that streams sets its own deadlines
	idleTimeout       = 5 * time.Second  // an idle connection takes the place of another where their number is bounded
	maxHeaderBytes    = 16 << 10
)

// Server is a service's public HTTP server.
type Server struct {
	Listener net.Listener
	Handler  http.Handler
	Health   *Health
	// DrainDelay is how long the server goes on taking requests after readiness has turned, so that whoever balances
	// load over several of them has time to notice.
	DrainDelay time.Duration
	// DrainTimeout bounds the wait for requests in progress after that.
	DrainTimeout time.Duration
	// OnDrain, which may be nil, ends the handlers that would not end by themselves.
	OnDrain func()
}

// Run serves until ctx ends and every request taken is answered. From then on it answers with "Connection: close", so
// that no client sends a request into a connection that is being closed.
func (s *Server) Run(ctx context.Context) error {
	server := newHTTPServer(s.closeWhileDraining(s.Handler))
	if s.OnDrain != nil {
		server.RegisterOnShutdown(s.OnDrain)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.Listener) }()
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
	bound, cancel := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		return fmt.Errorf("drain: %w", errors.Join(err, server.Close()))
	}
	return nil
}

func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Health.Draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// ServeOps serves the probes and metrics for operators, and Go's profiles if they are asked for, until the clean-up, which comes
// after the public server's end.
func ServeOps(c *Cleanups, addr string, health *Health, metrics http.Handler, profiles bool) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for operators (OPS_PORT): %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.ReadyDetailed)
	mux.Handle("GET /metrics", metrics)
	if profiles {
		profile(mux)
	}
	server := newHTTPServer(mux)
	served := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		if !errors.Is(err, http.ErrServerClosed) {
			slog.Error("operators' server ended", "error", err)
		}
		served <- err
	}()
	c.Add("ops server", func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if served := <-served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	return nil
}

func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
}
