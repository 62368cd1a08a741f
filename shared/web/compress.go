package web

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// compressible is what is worth compressing. An event stream is not on the list: its events are small, and each has to
// leave at once.
var compressible = []string{"text/html", "text/css", "text/javascript", "image/svg+xml", "application/json"}

// minCompressed is in bytes. What fits into one packet anyway is sent as it is.
const minCompressed = 1024

// Compress sends pages, static files and JSON by gzip to clients that take it, and says of every answer that it varies
// with that. Requests other than GET and HEAD go past it: their answers are small.
//
// It may lie inside or outside what else wraps a mux, since it hands on the request that it gets.
func Compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.MinSize(minCompressed), gzhttp.ContentTypes(compressible))
	if err != nil {
		panic(err) // for options that contradict one another, which these constants don't
	}
	compressed := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			compressed(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
