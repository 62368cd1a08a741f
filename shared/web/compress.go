package web

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// compressible excludes event streams: their events are small and must be sent at once.
var compressible = []string{"text/html", "text/css", "text/javascript", "image/svg+xml", "application/json"}

// minCompressed is in bytes. A smaller answer fits into one packet anyway.
const minCompressed = 1024

// Compress gzips pages, static files and JSON for clients that accept it, and sets Vary on every answer. Requests other
// than GET and HEAD bypass it: their answers are small. It may be inside or outside other wrappers of a mux, since it
// passes on the request that it gets.
func Compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.EnableZstd(false), gzhttp.MinSize(minCompressed), gzhttp.ContentTypes(compressible))
	if err != nil {
		panic(err) // only for contradictory options, which these constants are not
	}
	compressed := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			compressed(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
