package lifecycle

import (
	"errors"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"
)

// Sampling of the mutex and block profiles: one contention in so many, one event per so much time blocked.
const (
	contentionsPerSample = 100
	blockedPerSample     = 100 * time.Microsecond
)

// The duration of a CPU profile, in seconds: the default and the maximum.
const (
	profileSeconds    = 30
	maxProfileSeconds = 300
)

// serveProfiles serves Go's profiles under /debug/pprof/ like net/http/pprof, which would make each image half a
// megabyte larger. Profiles reveal much about a service and cost CPU, so they are on the ops port only, and off by
// default.
func serveProfiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contentionsPerSample)
	runtime.SetBlockProfileRate(int(blockedPerSample))
	mux.HandleFunc("GET /debug/pprof/profile", profileCPU)
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.Error(w, "no such profile; try profile, heap, allocs, goroutine, mutex, block or threadcreate",
				http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_ = p.WriteTo(w, 0) // an error means that the client is gone
	})
}

// profileCPU profiles for the requested number of seconds, or until the client is gone.
func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
	if err != nil || seconds < 1 || seconds > maxProfileSeconds {
		seconds = profileSeconds
	}
	duration := time.Duration(seconds) * time.Second
	conn := http.NewResponseController(w) // the server's own deadlines are shorter
	err = errors.Join(conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Now().Add(duration+writeTimeout)))
	if err != nil {
		http.Error(w, "this connection can't wait for a profile", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, "a profile is being taken already", http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(duration):
	}
}
