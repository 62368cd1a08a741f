package web

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Origin is where an address leads: scheme, host and port, or host and port alone, which means the scheme of the page.
// Only OriginOf makes one, so it holds no character that could end the directive of a policy it is written into. The zero
// Origin names nothing.
type Origin struct{ value string }

// OriginOf gives the origin of an http or https URL, which may lack the scheme ("//host:port/"). An address that is none,
// or that a policy has no way to name (an IPv6 host), gives the zero Origin.
func OriginOf(address string) Origin {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || !namedHost.MatchString(u.Host) {
		return Origin{}
	}
	switch u.Scheme {
	case "":
		return Origin{value: u.Host}
	case "http", "https":
		return Origin{value: u.Scheme + "://" + u.Host}
	}
	return Origin{}
}

// BaseURL checks an address from the configuration and gives it without a trailing slash, ready for a path to be
// appended. The empty address is allowed, stays empty and means: not configured.
func BaseURL(rawURL string) (string, error) {
	if rawURL == "" {
		return "", nil
	}
	u, err := parseAbsolute(rawURL)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("address %q: a query or fragment has no place here", rawURL)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func parseAbsolute(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || !plainHost.MatchString(u.Host) || u.User != nil {
		return nil, errors.New("address " + strconv.Quote(u.Redacted()) + ": want http:// or https:// and a host")
	}
	return u, nil
}

var (
	namedHost = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]{1,5})?$`)
	plainHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// SiblingURL gives the address of the service that listens on another port of the host the request was sent to (its Host
// header), in the scheme of the page. It is a guess that is right wherever the default ports are published; a host that
// doesn't look like one gives localhost.
func SiblingURL(requestHost string, port int) string {
	name := requestHost
	if host, _, err := net.SplitHostPort(requestHost); err == nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if !plainName.MatchString(name) && net.ParseIP(name) == nil {
		name = "localhost"
	}
	return "//" + net.JoinHostPort(name, strconv.Itoa(port)) + "/"
}
