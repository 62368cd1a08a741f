package lifecycle

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// What profiles of waiting sample: one contention in so many, and one wait for each so long a time spent waiting.
const (
	contentionsPerSample = 100
	waitPerSample        = 100 * time.Microsecond
)

// profile serves Go's profiles under /debug/pprof/, those of mutexes and of blocking among them, which nothing records
// before. They tell much about a service and take of its time, so they are for the operators' port and only when asked for.
func profile(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contentionsPerSample)
	runtime.SetBlockProfileRate(int(waitPerSample))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
