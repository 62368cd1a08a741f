package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
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
	// OnDrain, which may be nil, ends the handlers that would not end by themselves.
	OnDrain func()
}

// Run serves until ctx ends, then until every accepted request is answered. While draining it answers with
// "Connection: close", so that no client sends a request into a closing connection.
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
	bound, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		return fmt.Errorf("drain: %w", errors.Join(err, server.Close()))
	}
	return nil
}

func (s *Server) closeWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Health.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

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
	server := newHTTPServer(mux)
	c.Background("ops server", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
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

func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h,
		// Limits of a client's share of the server's time and memory.
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second, // a handler that streams sets its own deadlines
		IdleTimeout:       5 * time.Second,  // an idle connection occupies a slot where their number is bounded
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
}

// serveProfiles serves Go's profiles. They reveal much and cost CPU: so on the ops port only, and off by default. With
// net/http/pprof, which does the same, the image of result would exceed its limit of 25 MB.
func serveProfiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(100)                     // samples one contention in 100
	runtime.SetBlockProfileRate(int(100 * time.Microsecond)) // samples one event for each 100 µs blocked
	mux.HandleFunc("GET /debug/pprof/profile", profileCPU)
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.Error(w, "no such profile; try profile, heap, allocs, goroutine, mutex or block", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_ = p.WriteTo(w, 0) // an error means that the client is gone
	})
}

// profileCPU profiles for the requested 1 to 255 seconds, by default 30. It stops when the client is gone.
func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseUint(r.FormValue("seconds"), 10, 8)
	if err != nil || seconds == 0 {
		seconds = 30
	}
	conn := http.NewResponseController(w) // the server's own deadlines are shorter
	_, _ = conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict) // one is being taken already
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(time.Duration(seconds) * time.Second):
	}
}
