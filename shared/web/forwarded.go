package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"petvote/shared/config"
)

// Forwarded undoes the changes of proxies: behind it a request's RemoteAddr is the client's address, with port 0, and
// its Host and its URL's scheme are those of the client's request. X-Forwarded-For, -Host and -Proto are believed only
// of trusted proxies. The client is the last address in X-Forwarded-For that is no trusted proxy's: a client can send
// the header too, and proxies append.
func Forwarded(trusted config.Networks, next http.Handler) http.Handler {
	ignored := rate.Sometimes{First: 1, Interval: time.Hour}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := Client(r)
		if !trusted.Contain(client) {
			if r.Header.Get("X-Forwarded-For") != "" {
				ignored.Do(func() {
					slog.InfoContext(r.Context(), "X-Forwarded-For of an address ignored that is no trusted proxy's",
						"setting", "TRUSTED_PROXIES", "address", client.String())
				})
			}
			next.ServeHTTP(w, r)
			return
		}
		r2 := *r
		if host := r.Header.Get("X-Forwarded-Host"); host != "" {
			host, _, _ = strings.Cut(host, ",") // each proxy appends the one that it was asked for
			r2.Host = strings.TrimSpace(host)
		}
		scheme, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
		if scheme = strings.ToLower(strings.TrimSpace(scheme)); scheme == "http" || scheme == "https" {
			u := *r.URL
			u.Scheme, r2.URL = scheme, &u
		}
		chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for len(chain) > 0 && trusted.Contain(client) {
			hop := parseHop(chain[len(chain)-1])
			if !hop.IsValid() {
				break
			}
			client, chain = hop, chain[:len(chain)-1]
		}
		r2.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		next.ServeHTTP(w, &r2)
	})
}

// parseHop reads an address, to which some proxies add the port. It is invalid if the text is no address.
func parseHop(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	addr, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone("")
}

// Client is the address that a request comes from; invalid if it is not an IP address.
func Client(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return from.Addr().Unmap().WithZone("")
}

// stripBase serves a service under a base path as well: with a proxy that strips it and with one that does not.
func stripBase(base config.BasePath, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	prefix := string(base)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == prefix && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			// The page's own addresses are relative to the path with a slash.
			location := prefix + "/"
			if r.URL.RawQuery != "" {
				location += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		}
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			http.StripPrefix(prefix, next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
