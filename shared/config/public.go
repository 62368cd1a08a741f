package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Public holds the settings of a service that browsers use: its proxies, other origins and a rate for each client.
type Public struct {
	Origins        Origins  `env:"PUBLIC_ORIGINS"`
	BasePath       BasePath `env:"BASE_PATH"`
	TrustedProxies Networks `env:"TRUSTED_PROXIES"`
	RateLimit      Rate     `env:"RATE_LIMIT"` // requests a second of one client; 0: no limit
	RateBurst      Count    `env:"RATE_BURST" envDefault:"20"`
}

// Origins are the origins of pages that browsers may send requests from, besides a request's own. The zero value holds
// none.
type Origins struct{ protection *http.CrossOriginProtection }

// Protection refuses requests from pages of all other origins.
func (o Origins) Protection() *http.CrossOriginProtection {
	return cmp.Or(o.protection, http.NewCrossOriginProtection())
}

// UnmarshalText takes a list with commas. Like a browser, it writes them in lower case and without a default port.
func (o *Origins) UnmarshalText(text []byte) error {
	o.protection = http.NewCrossOriginProtection()
	for _, item := range items(text) {
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || !linkHost.MatchString(u.Host) ||
			u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("%q is not an origin like https://pets.example or http://192.0.2.1:8084", item)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
		if err := o.protection.AddTrustedOrigin(u.Scheme + "://" + host); err != nil {
			return err
		}
	}
	return nil
}

// BasePath is the path under which a proxy serves a service, such as "/pets", or empty.
type BasePath string

var basePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// ownPaths can't be told from a base path by a service behind a proxy that strips it.
var ownPaths = []string{
	"/api", "/events", "/favicon.ico", "/healthz", "/readyz", "/socket.io", "/spans", "/static", "/votes",
}

// UnmarshalText accepts a path of plain segments, with or without slashes at its ends.
func (p *BasePath) UnmarshalText(text []byte) error {
	path := "/" + strings.Trim(string(text), "/")
	switch {
	case path == "/":
		path = ""
	case !basePath.MatchString(path):
		return errors.New("not a path like /pets, of letters, digits and - . _ ~")
	case slices.Contains(ownPaths, path):
		return errors.New("the services have a path of this name; take another")
	}
	*p = BasePath(path)
	return nil
}

// Networks are IP networks. The zero value holds none.
type Networks struct{ prefixes []netip.Prefix }

// UnmarshalText takes a list, with commas, of networks in CIDR notation and of single addresses.
func (n *Networks) UnmarshalText(text []byte) error {
	n.prefixes = nil
	for _, item := range items(text) {
		prefix, err := netip.ParsePrefix(item)
		if addr, errAddr := netip.ParseAddr(strings.Trim(item, "[]")); errAddr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is not an address like 192.0.2.1 or a network like 10.0.0.0/8 or fd00::/8", item)
		}
		n.prefixes = append(n.prefixes, prefix)
	}
	return nil
}

// Contain is true for an address in one of the networks.
func (n Networks) Contain(a netip.Addr) bool {
	return slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Rate is a number of events a second; 0 stands for no limit.
type Rate float64

// UnmarshalText accepts 0 and 0.001 to 1,000,000.
func (r *Rate) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || v != 0 && !(v >= 0.001 && v <= 1e6) {
		return errors.New("not a number a second from 0.001 to 1000000, or 0 for no limit")
	}
	*r = Rate(v)
	return nil
}

// items splits a list at its commas. It leaves out blanks and empty items.
func items(text []byte) (list []string) {
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
