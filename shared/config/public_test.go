package config

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOriginsAreWrittenAsBrowsersSendThem(t *testing.T) {
	for text, want := range map[string][]string{
		"https://pets.example":                              {"https://pets.example"},
		"https://Pets.Example:443/, http://192.0.2.1:8084,": {"https://pets.example", "http://192.0.2.1:8084"},
		"http://pets.example:80,http://[2001:DB8::1]:8084":  {"http://pets.example", "http://[2001:db8::1]:8084"},
		"http://pets.example:443":                           {"http://pets.example:443"},
		"pets.example":                                      nil,
		"*":                                                 nil,
		"null":                                              nil,
		"https://*.pets.example":                            nil,
		"https://pets.example/vote":                         nil,
		"https://user@pets.example":                         nil,
		"https://pets.example http://other.example":         nil,
		"ftp://pets.example":                                nil,
	} {
		var got Origins
		if err := got.UnmarshalText([]byte(text)); (err == nil) != (want != nil) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if accepts(got, "https://evil.example") {
			t.Errorf("%q: other origins are accepted", text)
		}
		for _, origin := range want {
			if !accepts(got, origin) {
				t.Errorf("%q: %s is refused", text, origin)
			}
		}
	}
}

func accepts(o Origins, origin string) bool {
	r := httptest.NewRequest(http.MethodPost, "http://vote/", nil)
	r.Header.Set("Origin", origin)
	return o.Protection().Check(r) == nil
}

func TestABasePathIsOneThatNoServiceHas(t *testing.T) {
	wantValues(t, map[string]BasePath{
		"/pets": "/pets", "pets/": "/pets", "/a/b-c_d.e~1/": "/a/b-c_d.e~1", "/vote": "/vote", "/api/pets": "/api/pets",
		"/votes": "", "/static/": "", "/..": "", "/a/../b": "", "/a//b": "", "/a b": "", `/"><wince>`: "", "/a?b": "",
		"//evil.example/a%2fb": "",
	})
	root := BasePath("/before")
	if err := root.UnmarshalText([]byte("/")); root != "" || err != nil {
		t.Errorf("the root became %q, %v", root, err)
	}
}

func TestNetworksAreAddressesAndPrefixes(t *testing.T) {
	var n Networks
	if err := n.UnmarshalText([]byte("10.0.0.0/8, 192.0.2.1,[::1],fd00::/8,::ffff:198.51.100.7")); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "192.0.2.1": true, "::1": true, "fd00::7": true, "198.51.100.7": true,
		"192.0.2.2": false, "11.0.0.1": false, "::2": false, "fe80::1": false,
	} {
		if n.Contain(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
	if (Networks{}).Contain(netip.Addr{}) || n.Contain(netip.Addr{}) {
		t.Error("no address is in a network")
	}
	for _, text := range []string{"localhost", "10.0.0.0/33", "*", "10.0.0.1:80", "fe80::1%eth0"} {
		if err := n.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRatesHaveBounds(t *testing.T) {
	wantValues(t, map[string]Rate{
		"0.5": 0.5, "20": 20, "1e6": 1e6, "-1": 0, "NaN": 0, "Inf": 0, "1e-9": 0, "2e6": 0, "many": 0, "5/s": 0,
	})
	none := Rate(1)
	if err := none.UnmarshalText([]byte("0")); none != 0 || err != nil {
		t.Errorf("0 became %v, %v", none, err)
	}
}

func TestIPv6AddressesMayHaveBrackets(t *testing.T) {
	for host, want := range map[string]string{
		"::1": "[::1]:80", "[::1]": "[::1]:80", "": ":80", "localhost": "localhost:80", "192.0.2.1": "192.0.2.1:80",
	} {
		if got := Port(80).On(host); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}

func TestThePublicSettingsAreLoaded(t *testing.T) {
	var s struct{ Public }
	err := Load([]string{
		"PUBLIC_ORIGINS=https://pets.example", "TRUSTED_PROXIES=::1", "BASE_PATH=/pets", "RATE_LIMIT=5",
	}, &s)
	if err != nil || !accepts(s.Origins, "https://pets.example") || !s.TrustedProxies.Contain(netip.IPv6Loopback()) ||
		s.BasePath != "/pets" || s.RateLimit != 5 || s.RateBurst != 20 {
		t.Errorf("%+v, %v", s, err)
	}
	err = Load([]string{"PUBLIC_ORIGINS=pets", "TRUSTED_PROXIES=pets", "BASE_PATH=/votes", "RATE_LIMIT=-1"}, &s)
	for _, name := range []string{"BASE_PATH", "PUBLIC_ORIGINS", "RATE_LIMIT", "TRUSTED_PROXIES"} {
		if err == nil || !strings.Contains(err.Error(), "\n  "+name+"=") {
			t.Errorf("no line for %s in %v", name, err)
		}
	}
}
