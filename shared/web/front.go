package web

import (
	"net/http"

	"petvote/shared/config"
)

// Front is the part of a service that faces proxies and foreign clients.
type Front struct {
	Origins *OriginCheck
	Limit   *Limiter
	public  config.Public
}

// NewFront returns a front as configured.
func NewFront(public config.Public) *Front {
	return &Front{
		Origins: newOriginCheck(public.Origins), Limit: NewLimiter(public.RateLimit, public.RateBurst), public: public,
	}
}

// Handler passes requests on as they were before proxies changed them. It must be the outermost handler.
func (f *Front) Handler(next http.Handler) http.Handler {
	return Forwarded(f.public.TrustedProxies, stripBase(f.public.BasePath, next))
}

// OwnOrigin lets only pages of the service's own origin through, without counting the others.
func (f *Front) OwnOrigin(next http.Handler) http.Handler {
	return newOriginCheck(f.public.Origins).Handler(next, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
}

// Refused counts refused requests by their reason.
func (f *Front) Refused() map[string]int64 {
	return map[string]int64{"origin": f.Origins.Refused(), "rate_limit": f.Limit.Refused()}
}
