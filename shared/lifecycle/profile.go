package lifecycle

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// Sampling of the mutex and block profiles: one contention in so many, one event per so much time blocked.
const (
	contentionsPerSample = 100
	blockedPerSample     = 100 * time.Microsecond
)

// serveProfiles serves Go's profiles under /debug/pprof/. They reveal much about a service and cost CPU, so they are on
// the ops port only, and off by default.
func serveProfiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contentionsPerSample)
	runtime.SetBlockProfileRate(int(blockedPerSample))
	handle := func(name string, profile http.HandlerFunc) {
		mux.HandleFunc("GET /debug/pprof/"+name, func(w http.ResponseWriter, r *http.Request) {
			// The server's read time-out would end a longer profile; the handlers extend its write time-out themselves.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			profile(w, r)
		})
	}
	handle("", pprof.Index)
	handle("profile", pprof.Profile)
	handle("symbol", pprof.Symbol)
	handle("trace", pprof.Trace)
}
