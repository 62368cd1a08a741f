package web

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"petvote/shared/config"
)

// maxClients bounds the clients that a Limiter remembers, twice this number at most, of some 200 bytes each.
const maxClients = 1 << 15

// Limiter limits the rate of each client's requests. A client is an IPv4 address or an IPv6 network of 64 bits, as a
// household has one. It forgets a client that has been silent for long enough to be allowed a whole burst again, and
// the longest silent ones when there are more than it may remember: no client is refused because there are many others.
type Limiter struct {
	perSecond rate.Limit
	burst     int

	mu      sync.Mutex
	refused int64
	recent  map[netip.Prefix]*rate.Limiter // of the clients since the last rotation
	earlier map[netip.Prefix]*rate.Limiter // of those before it, but for the ones that came again
	rotated time.Time
}

// NewLimiter returns a limiter that allows perSecond requests, and burst at once. It is nil, which allows all, if
// perSecond is 0.
func NewLimiter(perSecond config.Rate, burst config.Count) *Limiter {
	if perSecond == 0 {
		return nil
	}
	return &Limiter{perSecond: rate.Limit(perSecond), burst: int(burst), recent: map[netip.Prefix]*rate.Limiter{}}
}

// Wait takes a request into account. It returns 0 if the request is allowed, else the time until the next one is.
func (l *Limiter) Wait(r *http.Request) time.Duration {
	if l == nil {
		return 0
	}
	client, now := clientNetwork(Client(r)), time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	reservation := l.of(client, now).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
		l.refused++
	}
	return wait
}

// of returns a client's own limiter.
func (l *Limiter) of(client netip.Prefix, now time.Time) *rate.Limiter {
	if one := l.recent[client]; one != nil {
		return one
	}
	refill := time.Duration(float64(l.burst) / float64(l.perSecond) * float64(time.Second))
	if len(l.recent) >= maxClients || now.Sub(l.rotated) > refill {
		l.earlier, l.recent, l.rotated = l.recent, map[netip.Prefix]*rate.Limiter{}, now
	}
	one := l.earlier[client]
	if one == nil {
		one = rate.NewLimiter(l.perSecond, l.burst)
	}
	l.recent[client] = one
	return one
}

// Refused is the number of requests that were not allowed.
func (l *Limiter) Refused() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

func clientNetwork(a netip.Addr) netip.Prefix {
	const household = 64
	network, _ := a.Prefix(min(a.BitLen(), household)) // the zero prefix for an invalid address
	return network
}

// RetrySoon is the Retry-After header of an answer 503: a little longer than a breaker stays open.
const RetrySoon = "1"

// RetryAfter is a wait in the form of the Retry-After header.
func RetryAfter(wait time.Duration) string { return strconv.Itoa(int(math.Ceil(wait.Seconds()))) }

// TooMany answers a request that a limiter allows only after a wait.
func TooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", RetryAfter(wait))
	Problem(w, http.StatusTooManyRequests, "too many requests from your address; please try again later")
}
