package web

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"petvote/shared/config"
)

// OriginCheck refuses requests of pages of other origins. A page is of the service's own origin if the browser says so
// (Sec-Fetch-Site), if its Origin names the request's Host, or if its Origin is a public one.
type OriginCheck struct {
	protection *http.CrossOriginProtection
	refused    atomic.Int64
	log        rate.Sometimes
}

// newOriginCheck returns a check that takes these origins for the service's own.
func newOriginCheck(public config.Origins) *OriginCheck {
	return &OriginCheck{protection: public.Protection(), log: rate.Sometimes{First: 3, Interval: time.Minute}}
}

// Handler passes requests on, but those of other origins to deny. It logs some of these for the operator, who may have
// a proxy in front that changes the Host.
func (c *OriginCheck) Handler(next, deny http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		named := *r // some proxies add the default port to the Host, which no Origin has
		named.Host = strings.TrimSuffix(strings.TrimSuffix(r.Host, ":80"), ":443")
		if c.protection.Check(r) == nil || c.protection.Check(&named) == nil {
			next.ServeHTTP(w, r)
			return
		}
		c.refused.Add(1)
		c.log.Do(func() {
			slog.WarnContext(r.Context(), "request of another origin refused; if the page is your own, "+
				"add its origin to PUBLIC_ORIGINS", "setting", "PUBLIC_ORIGINS", "origin", head(r.Header.Get("Origin")),
				"host", head(r.Host), "client", Client(r).String(), "path", r.URL.Path, "total", c.refused.Load())
		})
		deny.ServeHTTP(w, r)
	})
}

// Refused is the number of requests that were refused.
func (c *OriginCheck) Refused() int64 { return c.refused.Load() }

// head shortens a text from a client.
func head(text string) string { return text[:min(len(text), 100)] }
