package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/config"
)

func networks(t *testing.T, list string) config.Networks {
	t.Helper()
	var n config.Networks
	if err := n.UnmarshalText([]byte(list)); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestForwardedHeadersAreBelievedOnlyOfTrustedProxies(t *testing.T) {
	const lan, proxy = "10.0.0.0/8", "10.0.0.1:1"
	for name, c := range map[string]struct {
		trusted, peer  string
		chain          []string // X-Forwarded-For
		host           string   // X-Forwarded-Host
		client, asksOf string   // what the service sees
	}{
		"no proxy":              {"", "192.0.2.9:1", nil, "", "192.0.2.9", "service"},
		"nobody is trusted":     {"", proxy, []string{"192.0.2.9"}, "evil.example", "10.0.0.1", "service"},
		"a stranger":            {lan, "192.0.2.9:1", []string{"198.51.100.1"}, "evil.example", "192.0.2.9", "service"},
		"a trusted proxy":       {lan, proxy, []string{"192.0.2.9"}, "pets.lan:80", "192.0.2.9", "pets.lan:80"},
		"two in a row":          {lan, proxy, []string{"192.0.2.9, 10.0.0.2"}, "pets.lan, inner", "192.0.2.9", "pets.lan"},
		"in two headers":        {lan, proxy, []string{"192.0.2.9", "10.0.0.2"}, "", "192.0.2.9", "service"},
		"a client that forges":  {"10.0.0.1", proxy, []string{"198.51.100.1, 192.0.2.9"}, "", "192.0.2.9", "service"},
		"a client in the range": {lan, proxy, []string{"10.9.9.9"}, "", "10.9.9.9", "service"},
		"no header":             {lan, proxy, nil, "", "10.0.0.1", "service"},
		"nonsense":              {lan, proxy, []string{"192.0.2.9, unknown"}, "", "10.0.0.1", "service"},
		"with ports":            {lan, proxy, []string{"192.0.2.9:555, 10.0.0.2:80"}, "", "192.0.2.9", "service"},
		"IPv6":                  {"fd00::/8", "[fd00::1]:1", []string{"[2001:db8::9]:555"}, "", "2001:db8::9", "service"},
		"an IPv6 zone": {"fe80::/10", "[fe80::1%lo]:1",
			[]string{"192.0.2.9, fe80::2%lo"}, "", "192.0.2.9", "service"},
		"IPv4 as IPv6": {"10.0.0.1", "[::ffff:10.0.0.1]:1",
			[]string{"::ffff:192.0.2.9"}, "", "192.0.2.9", "service"},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://service/", nil)
		r.RemoteAddr = c.peer
		for _, hop := range c.chain {
			r.Header.Add("X-Forwarded-For", hop)
		}
		r.Header.Set("X-Forwarded-Host", c.host)
		r.Header.Set("X-Forwarded-Proto", "https, http")
		scheme := map[bool]string{false: "http", true: "https"}[networks(t, c.trusted).Contain(Client(r))]
		Forwarded(networks(t, c.trusted), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := Client(r).String(); got != c.client || r.Host != c.asksOf || r.URL.Scheme != scheme {
				t.Errorf("%s: client %s asks %s by %s; want %s, %s, %s", name, got, r.Host, r.URL.Scheme, c.client, c.asksOf,
					scheme)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
	for sent, want := range map[string]string{"": "", "https": "https", " HTTP": "http", "javascript": ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Forwarded-Proto", sent)
		Forwarded(networks(t, "192.0.2.0/24"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Scheme != want {
				t.Errorf("X-Forwarded-Proto %q makes the scheme %q, want %q", sent, r.URL.Scheme, want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if r.URL.Scheme != "" {
			t.Error("the server's own request was changed")
		}
	}
}

func TestABasePathIsStrippedUnlessAProxyHasDoneSo(t *testing.T) {
	h := stripBase("/pets/vote", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Method+" "+r.URL.Path)
	}))
	for request, want := range map[string]string{
		"GET /pets/vote/": "GET /", "GET /": "GET /", "POST /pets/vote/vote": "POST /vote", "POST /vote": "POST /vote",
		"GET /pets/vote/static/1/a.js": "GET /static/1/a.js", "GET /pets/votes": "GET /pets/votes", "GET /pets": "GET /pets",
		"GET /pets/vote?kiosk": "308 to /pets/vote/?kiosk", "HEAD /pets/vote": "308 to /pets/vote/",
		"POST /pets/vote": "POST /pets/vote",
	} {
		var method, target string
		_, _ = fmt.Sscan(request, &method, &target)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		got := w.Body.String()
		if w.Code != http.StatusOK {
			got = fmt.Sprint(w.Code, " to ", w.Header().Get("Location"))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
}

func TestOnlyPagesOfPublicOriginsAndOfTheHostMayPost(t *testing.T) {
	var public config.Origins
	if err := public.UnmarshalText([]byte("https://pets.example,http://pets.lan:8090")); err != nil {
		t.Fatal(err)
	}
	check := newOriginCheck(public)
	allowed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := check.Handler(allowed, http.NotFoundHandler())
	refused := int64(0)
	for _, c := range []struct {
		origin, site string
		allowed      bool
	}{
		{"", "", true}, // no browser
		{"http://127.0.0.1:8084", "", true}, {"https://pets.example", "", true}, {"http://pets.lan:8090", "", true},
		{"https://pets.example", "cross-site", true}, {"https://anything.example", "same-origin", true},
		{"http://pets.example", "", false}, {"http://pets.lan", "", false}, {"https://evil.example", "", false},
		{"null", "", false}, {"https://evil.example", "cross-site", false}, {"http://127.0.0.1:8084", "same-site", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8084/vote", nil)
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusNoContent) != c.allowed {
			t.Errorf("%q, %q: status %d", c.origin, c.site, w.Code)
		}
		if !c.allowed {
			refused++
		}
		if check.Refused() != refused {
			t.Errorf("%q, %q: %d refused, want %d", c.origin, c.site, check.Refused(), refused)
		}
	}
}

// nginx's $host:$server_port is such a Host.
func TestAHostWithTheDefaultPortIsThatOfAnOriginWithoutIt(t *testing.T) {
	accept := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h := newOriginCheck(config.Origins{}).Handler(accept, http.NotFoundHandler())
	for host, allowed := range map[string]bool{
		"pets.lan": true, "pets.lan:80": true, "pets.lan:443": true, "pets.lan:8084": false, "other.lan:80": false,
	} {
		r, w := httptest.NewRequest(http.MethodPost, "http://"+host+"/vote", nil), httptest.NewRecorder()
		r.Header.Set("Origin", "https://pets.lan")
		if h.ServeHTTP(w, r); (w.Code == http.StatusOK) != allowed {
			t.Errorf("%s: status %d", host, w.Code)
		}
	}
}

func from(address string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/vote", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1).String()
	return r
}

func TestEachClientHasItsOwnRateAndBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(2, 3)
		allowed := func(address string) (n int) {
			for l.Wait(from(address)) == 0 {
				n++
			}
			return n
		}
		if n := allowed("192.0.2.1"); n != 3 {
			t.Errorf("%d at once, want the burst", n)
		}
		if wait := l.Wait(from("192.0.2.1")); wait != time.Second/2 || RetryAfter(wait) != "1" {
			t.Errorf("the wait is %v", wait)
		}
		for _, c := range []struct {
			address string
			want    int
		}{
			{"192.0.2.2", 3}, {"2001:db8::1", 3}, {"2001:db8:0:1::1", 3},
			{"2001:db8::2", 0}, {"::ffff:192.0.2.1", 0}, // other addresses of the same clients
		} {
			if n := allowed(c.address); n != c.want {
				t.Errorf("%s: %d at once, want %d", c.address, n, c.want)
			}
		}
		refused := l.Refused()
		time.Sleep(time.Second)
		if n := allowed("192.0.2.1"); n != 2 || l.Refused() != refused+1 {
			t.Errorf("%d after a second, want 2; refused %d", n, l.Refused()-refused)
		}
		time.Sleep(time.Hour)
		if n := allowed("192.0.2.1"); n != 3 {
			t.Errorf("%d after an hour, want the burst", n)
		}
		if (*Limiter)(nil).Wait(from("192.0.2.1")) != 0 || NewLimiter(0, 20) != nil {
			t.Error("a limit where none is set")
		}
	})
}

// A client that votes on remains limited while many others come and go.
func TestManyClientsCostLittleMemoryAndLeaveTheLimitsOfTheOthers(t *testing.T) {
	l := NewLimiter(0.001, 1)
	usage := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, persistent := usage(), from("192.0.2.1")
	_ = l.Wait(persistent)
	address := netip.MustParseAddr("10.0.0.0")
	for i := range 3 * maxClients {
		r := http.Request{RemoteAddr: netip.AddrPortFrom(address, 1).String()}
		if wait := l.Wait(&r); wait != 0 {
			t.Fatalf("client %v has to wait %v", address, wait)
		}
		if address = address.Next(); i%1000 == 0 && l.Wait(persistent) == 0 {
			t.Fatal("a client is forgotten that came again and again")
		}
	}
	if len(l.recent)+len(l.earlier) > 2*maxClients {
		t.Errorf("%d clients are remembered", len(l.recent)+len(l.earlier))
	}
	if grown := int64(usage() - before); grown > 2*maxClients*300 {
		t.Errorf("%d bytes for %d clients", grown, 2*maxClients)
	}
	runtime.KeepAlive(l)
}
