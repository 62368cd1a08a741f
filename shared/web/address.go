package web

import (
	"net"
	"net/url"
	"regexp"
	"strconv"

	"petvote/shared/config"
)

// Link is a checked address. If it was guessed, SiblingPort is the other service's port, and the page's scripts correct
// the host to the one the browser used.
type Link struct {
	Href        string
	SiblingPort int // 0 if the address is configured
}

// Sibling links to the front page of another service: at its configured base or, where that is empty or names no host,
// on another port of the host that the request was sent to (its Host header), in the page's scheme. The guess is right
// wherever that port is published; a malformed host becomes localhost.
func Sibling(base config.Sibling, requestHost string, port int) Link {
	u, err := url.Parse("//" + string(base))
	switch {
	case err != nil || base != "" && base[0] != ':':
		return Link{Href: string(base) + "/"}
	case base != "":
		port, _ = strconv.Atoi(u.Port()) // only digits
	}
	name := (&url.URL{Host: requestHost}).Hostname()
	if !plainName.MatchString(name) && net.ParseIP(name) == nil {
		name = "localhost"
	}
	return Link{Href: "//" + net.JoinHostPort(name, strconv.Itoa(port)) + u.EscapedPath() + "/", SiblingPort: port}
}

// originOf returns the origin of an http or https URL for a policy: scheme, host and port. If the URL lacks a scheme
// ("//host:port/"), so does the origin, which then stands for the page's scheme. It returns "" for anything else, and
// for a host that a policy can't name (IPv6). So it holds no character that could end the directive it is written into.
func originOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.User != nil || !namedHost.MatchString(u.Host):
	case u.Scheme == "":
		return u.Host
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Scheme + "://" + u.Host
	}
	return ""
}

var (
	namedHost = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]{1,5})?$`)
	plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)
