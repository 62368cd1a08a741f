package lifecycle

import (
	"errors"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"
)

// What profiles of waiting sample: one contention in so many, and one wait for each so long a time spent waiting.
const (
	contentionsPerSample = 100
	waitPerSample        = 100 * time.Microsecond
)

// How long a CPU profile takes, in seconds, unless the request says otherwise.
const (
	profileSeconds     = 30
	mostProfileSeconds = 300
)

// profile serves Go's profiles under /debug/pprof/, as net/http/pprof does, which would make each image half a megabyte
// larger: the CPU's, and the others by their names, those of mutexes and of blocking among them, which nothing records before.
// They tell much about a service and take of its time, so they are for the operators' port and only when asked for.
func profile(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contentionsPerSample)
	runtime.SetBlockProfileRate(int(waitPerSample))
	mux.HandleFunc("GET /debug/pprof/profile", profileCPU)
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.Error(w, "no such profile; there are profile, heap, allocs, goroutine, mutex, block, threadcreate", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_ = p.WriteTo(w, 0) // who asked is gone if this fails
	})
}

// profileCPU profiles for as many seconds as the request says, or until whoever asked is gone.
func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
	if err != nil || seconds < 1 || seconds > mostProfileSeconds {
		seconds = profileSeconds
	}
	lasts := time.Duration(seconds) * time.Second
	stream := http.NewResponseController(w) // which takes longer than other answers may
	if err := errors.Join(stream.SetReadDeadline(time.Time{}), stream.SetWriteDeadline(time.Now().Add(lasts+writeTimeout))); err != nil {
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
	case <-time.After(lasts):
	}
}
