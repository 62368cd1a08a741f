package systemtest

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"
	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/voters"
	"petvote/shared/ballot"
)

// nginx starts a reverse proxy, which is stopped at the end of the test.
func (r *rig) nginx(cfg servers.NginxConfig) *servers.Nginx {
	r.t.Helper()
	cfg.Dir = testenv.NewFolder(r.t)
	n, err := servers.NewNginx(cfg)
	if errors.Is(err, servers.ErrNotInstalled) {
		testenv.Missing(r.t, "nginx")
	}
	r.must(err)
	r.must(n.Start(r.t.Context()))
	r.stopAtEnd("nginx", n)
	return n
}

func (r *rig) freePort() int {
	r.t.Helper()
	port, err := servers.FreePort()
	r.must(err)
	return port
}

// proxyPass is all that a site needs: nginx then sends its own Host.
func proxyPass(s *platform.Service) string {
	return fmt.Sprintf("location / { proxy_pass http://%s; }", s.Addr())
}

// On plain http a browser sends no Sec-Fetch-Site, so the page's origin is compared with the Host.
func TestBrowserBehindAProxyThatChangesTheHostVotesWaitForTheOperator(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	port := r.freePort()
	origin := fmt.Sprintf("http://petvote.lan:%d", port)
	as := func(env ...string) *platform.Service {
		s := r.describe(platform.Vote, env...)
		r.must(s.Start(t.Context()))
		return s
	}
	plain := as()
	proxy := r.nginx(servers.NginxConfig{Port: port, Site: proxyPass(plain) +
		fmt.Sprintf("location /other/ { proxy_pass http://%s; }", as("BASE_PATH=/other").Addr())})
	b := r.browser()
	page := r.open(b, origin+"/")
	page.click(choice(ballot.Dogs))
	const why = "because the server does not accept votes from this page’s address, which its operator has to allow."
	until(page, readVotePage, func(v votePage) bool {
		return v.State == "waiting" && v.Waiting == 1 && strings.Contains(v.Text, why)
	})
	other := r.open(b, origin+"/other/") // of another platform, with another election
	other.click(choice(ballot.Cats))
	v := until(other, readVotePage, func(v votePage) bool { return v.State == "waiting" })
	if v.Waiting != 1 {
		t.Errorf("the other platform's page keeps %d votes", v.Waiting)
	}
	if log := plain.Log(); !strings.Contains(log, "setting=PUBLIC_ORIGINS") || !strings.Contains(log, "origin="+origin) {
		t.Errorf("the log does not name the setting: %s", log)
	}
	if n := sum(r.exported(plain), `petvote_requests_refused_total{reason="origin"}`); n == 0 {
		t.Error("the refusal is not counted")
	}
	form := r.fetch(http.MethodPost, "http://"+proxy.Addr()+"/vote", "pet=dogs",
		"Content-Type", formType, "Origin", origin)
	if form.StatusCode != http.StatusForbidden || !strings.Contains(form.body, "Its operator can allow that address.") {
		t.Errorf("a form is answered with %s %s", form.Status, form.body)
	}

	r.must(proxy.Stop(t.Context()))
	r.nginx(servers.NginxConfig{Port: port, Site: proxyPass(as("PUBLIC_ORIGINS=https://other.example," + origin))})
	page.click("#waiting-send")
	until(page, readVotePage, accepted)
	r.drained()
	if stored := r.stored(); len(stored) != 1 {
		t.Errorf("stored: %v", stored)
	}
}

// The SLO leaves out 4xx, so an alert of its own reports that every page's votes are refused.
func TestAnAlertReportsThatEveryPagesVotesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.watched(2 * time.Second)
	p.sees(`petvote_requests_refused_total{job="vote", reason="origin"} == 0`)
	for range 5 {
		a := r.post(jsonType, `{"pet":"dogs"}`, "Origin", "http://petvote.lan")
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	p.sees(`ALERTS{alertname="VotesRefusedByOrigin", alertstate="firing"}`)
}

// A browser on https says itself that the page is of the same origin, so nothing needs to be set for that. The proxy is
// nginx as it comes: it changes the Host, speaks HTTP/1.0 and buffers. Of the two services, it strips the path of one.
func TestBrowserUnderPathsOfOneProxyWithTLSBothServicesWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	port := r.freePort()
	for name, c := range map[string]struct{ vote, result string }{ // what the proxy adds to the services' addresses
		"result is stripped": {"", "/"}, "vote is stripped": {"/", ""},
	} {
		r.step(name, func(r *rig) {
			base := fmt.Sprintf("https://petvote.lan:%d", port)
			links := []string{"VOTE_URL=" + base + "/pets/vote", "RESULT_URL=" + base + "/pets/results"}
			vote := r.describe(platform.Vote, append(links, "BASE_PATH=/pets/vote")...)
			result := r.describe(platform.Result, append(links, "BASE_PATH=/pets/results")...)
			r.start(vote, result)()
			r.nginx(servers.NginxConfig{Port: port, Listen: "ssl", Files: selfSigned(t), Site: fmt.Sprintf(`
				ssl_certificate cert.pem;
				ssl_certificate_key key.pem;
				location /pets/vote/ { proxy_pass http://%s%s; }
				location /pets/results/ { proxy_pass http://%s%s; }
				location = /pets/vote { return 301 https://$http_host/pets/vote/; }`,
				vote.Addr(), c.vote, result.Addr(), c.result)})
			trusting := command(security.SetIgnoreCertificateErrors,
				security.SetIgnoreCertificateErrorsParams{Ignore: true})
			b := r.browser()
			results := r.open(b, base+"/pets/results/", trusting)
			before := until(results, readResultPage, live).Counts
			page := r.open(b, base+"/pets/vote", trusting)
			page.click(choice(ballot.Cats))
			until(results, readResultPage, func(v resultPage) bool { return live(v) && v.Counts.Cats == before.Cats+1 })
			v := until(page, readVotePage, func(v votePage) bool { return accepted(v) && arrived(v.Journey) })
			if link := v.Links["Receipt"]; !strings.HasPrefix(link, base+"/pets/results/votes/") {
				r.t.Errorf("the receipt is at %s", link)
			}
			page.click("#journey-links a")
			until(page, readReceiptPage, func(p receiptPage) bool {
				return p.Text == "This vote has been counted, exactly once."
			})
			r.clean(results, page)

			bare := r.open(b, base+"/pets/vote/", trusting, withoutJavaScript)
			bare.click(choice(ballot.Lizards))
			until(bare, readVotePage, acceptedFor(ballot.Lizards))
			r.clean(bare)
			r.must(r.wantStatus(result.URL("/pets/results/socket.io/?EIO=4&transport=polling"), http.StatusOK))
			r.must(r.wantStatus(result.URL("/socket.io/?EIO=4&transport=polling"), http.StatusOK))
		})
	}
}

// selfSigned makes a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testenv.Must(t, err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.ParseIP(servers.Loopback)}}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	testenv.Must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	testenv.Must(t, err)
	return map[string]string{
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// While a request is on its way, the service must not close the connection. It used to after 5 s.
func TestVotesThroughAProxyThatKeepsConnectionsNeverMeetAClosedOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const kept, onTheWay = 32, 200 * time.Millisecond
	distant := testenv.NewRelay(t, r.Vote.Addr(), servers.Delays{Send: onTheWay})
	proxy := r.nginx(servers.NginxConfig{
		Upstreams: fmt.Sprintf("upstream vote { server %s; keepalive %d; }", distant.Addr(), kept),
		Site: `location / { proxy_pass http://vote; proxy_http_version 1.1; proxy_set_header Connection "";
			proxy_set_header Host $http_host; }`,
	})
	voter := voters.NewClient("http://"+proxy.Addr()+"/vote", r.ledger.Began, answerLimit)
	defer voter.Close()
	volley := func(spread time.Duration) {
		var sent sync.WaitGroup
		for i := range kept {
			sent.Go(func() {
				time.Sleep(spread * time.Duration(i) / kept)
				r.ledger.Add(voter.Cast(t.Context(), uuid.Must(uuid.NewV7()), ballot.Dogs))
			})
		}
		sent.Wait()
	}
	volley(0)
	r.elapse(5*time.Second - onTheWay)
	volley(onTheWay)
	r.wantOnly(ledger.Accepted)
	r.audit()
}

func TestEachClientOfATrustedProxyHasItsOwnRate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more than one loopback address")
	}
	r := newRig(t, withEnv("RATE_LIMIT=0.001", "RATE_BURST=2", "TRUSTED_PROXIES=127.0.0.1/32"))
	proxy := r.nginx(servers.NginxConfig{Site: fmt.Sprintf(`
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Host $http_host;
		location /votes/ { proxy_pass http://%s; }
		location / { proxy_pass http://%s; }`, r.Result.Addr(), r.Vote.Addr())})
	ask := func(from, method, url, forwarded string) (int, http.Header) {
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}}
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"pet":"dogs"}`))
		r.must(err)
		request.Header.Set("Content-Type", jsonType)
		request.Header.Set("Origin", "http://"+request.Host)
		if forwarded != "" {
			request.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := client.Do(request)
		r.must(err)
		r.must(resp.Body.Close())
		return resp.StatusCode, resp.Header
	}
	receipt := "/votes/" + r.vote(ballot.Dogs).Vote.String()
	r.drained()
	for _, c := range []struct {
		from, method, url string
		allowed           int
	}{
		{"127.0.0.2", http.MethodPost, "http://" + proxy.Addr() + "/vote", http.StatusOK},
		{"127.0.0.3", http.MethodPost, "http://" + proxy.Addr() + "/vote", http.StatusOK},
		{"127.0.0.2", http.MethodGet, "http://" + proxy.Addr() + receipt, http.StatusOK},
		{"127.0.0.4", http.MethodPost, r.Vote.URL("/vote"), http.StatusOK}, // past the proxy
	} {
		for i, want := range []int{c.allowed, c.allowed, http.StatusTooManyRequests, http.StatusTooManyRequests} {
			forged := ""
			if i%2 == 1 {
				forged = "198.51.100." + fmt.Sprint(i)
			}
			status, header := ask(c.from, c.method, c.url, forged)
			if status != want || (cmp.Or(header.Get("Retry-After"), "0") == "0") == (want == http.StatusTooManyRequests) {
				t.Errorf("%s %s from %s, request %d: %d, want %d; Retry-After %q", c.method, c.url, c.from, i, status, want,
					header.Get("Retry-After"))
			}
		}
	}
	if n := sum(r.exported(r.Vote), `petvote_requests_refused_total{reason="rate_limit"}`); n != 6 {
		t.Errorf("%v refusals are counted, want 6", n)
	}
}

func TestBrowserAboveItsRateVotesWaitAndAreAccepted(t *testing.T) {
	t.Parallel()
	r := newRig(t, withEnv("RATE_LIMIT=0.5", "RATE_BURST=1"))
	page := r.open(r.browser(), r.Vote.URL("/"))
	page.click(choice(ballot.Dogs))
	until(page, readVotePage, acceptedFor(ballot.Dogs))
	page.click(choice(ballot.Cats))
	page.click(choice(ballot.Cats))
	const why = "because the server takes only so many votes at once from one address."
	until(page, readVotePage, func(v votePage) bool { return v.State == "waiting" && strings.Contains(v.Text, why) })
	// Receipts have their limit too, and the journey goes on.
	until(page, readVotePage, func(v votePage) bool { return accepted(v) && v.Waiting == -1 && arrived(v.Journey) })
	r.drained()
	if stored := r.stored(); len(stored) != 3 {
		t.Errorf("stored: %v", stored)
	}
	page.quiet()
}

func TestAServiceListensOnIPv6Alone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.describe(platform.Vote, "LISTEN_HOST=[::1]")
	s.Spec.Ready = func(ctx context.Context, _ int) error {
		return platform.Probe(ctx, fmt.Sprintf("http://[::1]:%d/readyz", s.Ops))
	}
	p := servers.NewProcess(s.Spec)
	r.must(p.Start(t.Context()))
	r.stopAtEnd("vote on IPv6", p)
	url := fmt.Sprintf("http://[::1]:%d", s.Port)
	a := r.fetch(http.MethodPost, url+"/vote", `{"pet":"dogs"}`, "Content-Type", jsonType, "Origin", url)
	if a.StatusCode != http.StatusOK {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if _, err := net.DialTimeout("tcp", s.Addr(), time.Second); err == nil {
		t.Error("it listens on IPv4 too")
	}
	health := s.Spec
	health.Args, health.Ready = []string{"health"}, nil
	r.must(servers.Run(t.Context(), health))
}
