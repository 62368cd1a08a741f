package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Service holds the settings that every service has besides the addresses of its dependencies.
type Service struct {
	Host      string    `env:"LISTEN_HOST"` // empty: all interfaces
	OpsPort   Port      `env:"OPS_PORT" envDefault:"9464"`
	LogLevel  LogLevel  `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat LogFormat `env:"LOG_FORMAT" envDefault:"json"`
	Pprof     bool      `env:"PPROF"` // serve Go's profiles on the ops port
	// The public port believes the sampled flag of a caller's trace, so any client can have all its requests traced.
	TrustTraceparent bool `env:"TRUST_TRACEPARENT"`

	// The default exceeds the times for which proxies keep a connection (nginx 60 s, Traefik 90 s, Caddy 2 min). The side
	// that sends the requests has to close it, else a request can meet a connection that is just being closed.
	IdleTimeout Timeout `env:"IDLE_TIMEOUT" envDefault:"150s"`
}

// Port is a TCP port. 0 lets the system choose one.
type Port uint16

// UnmarshalText accepts 0 to 65535.
func (p *Port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return errors.New("not a port number (0 to 65535)")
	}
	*p = Port(n)
	return nil
}

// On returns the address of the port on a host, in the form that net.Listen takes. An IPv6 address may have brackets.
func (p Port) On(host string) string { return net.JoinHostPort(strings.Trim(host, "[]"), p.String()) }

func (p Port) String() string { return strconv.Itoa(int(p)) }

// Host is the name or the IP address of a server. An IPv6 address may have brackets.
type Host string

var hostName = regexp.MustCompile(`^[\w.-]+$`)

// UnmarshalText refuses what would be looked up in vain again and again, such as an address with a scheme or a user.
func (h *Host) UnmarshalText(text []byte) error {
	address := string(text)
	if strings.HasPrefix(address, "[") && strings.HasSuffix(address, "]") {
		address = address[1 : len(address)-1]
	}
	if _, err := netip.ParseAddr(address); err != nil && !hostName.Match(text) {
		return errors.New("not the name or IP address of a host")
	}
	*h = Host(text)
	return nil
}

// Count is a number from 1 to 65535, such as the port of a server.
type Count uint16

// UnmarshalText refuses 0, with which no service would do any work.
func (c *Count) UnmarshalText(text []byte) error { return c.parse(text, math.MaxUint16) }

func (c *Count) parse(text []byte, most uint64) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n == 0 || n > most {
		return fmt.Errorf("not a number from 1 to %d", most)
	}
	*c = Count(n)
	return nil
}

// Concurrency is a [Count] of things that each hold connections, from 1 to 64.
type Concurrency Count

// UnmarshalText refuses more than 64.
func (c *Concurrency) UnmarshalText(text []byte) error { return (*Count)(c).parse(text, 64) }

// Delay is a short time, from 0 to a minute.
type Delay time.Duration

// UnmarshalText refuses times outside that range.
func (d *Delay) UnmarshalText(text []byte) error { return between(d, text, 0, time.Minute) }

// LogLevel is the least severe level that is logged.
type LogLevel slog.Level

// UnmarshalText accepts the names of the levels, in any case, and offsets from them such as "info+2".
func (l *LogLevel) UnmarshalText(text []byte) error {
	if (*slog.Level)(l).UnmarshalText(text) != nil {
		return errors.New("not debug, info, warn or error")
	}
	return nil
}

// Interval is a time from 10 ms to an hour.
type Interval time.Duration

// UnmarshalText refuses times outside that range.
func (i *Interval) UnmarshalText(text []byte) error {
	return between(i, text, 10*time.Millisecond, time.Hour)
}

// Timeout is a time from a second to an hour.
type Timeout time.Duration

// UnmarshalText refuses times outside that range.
func (t *Timeout) UnmarshalText(text []byte) error { return between(t, text, time.Second, time.Hour) }

func between[T ~int64](into *T, text []byte, least, most time.Duration) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < least || v > most {
		return fmt.Errorf("not a time from %v to %v, such as %v", least, most, most/2)
	}
	*into = T(v)
	return nil
}

// LogFormat is "json", for machines, or "text", for people.
type LogFormat string

// UnmarshalText refuses other formats, but not capitals.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return OneOf(f, bytes.ToLower(text), "json", "text")
}

// OneOf sets a value to text if it is one of the words.
func OneOf[T ~string](into *T, text []byte, words ...T) error {
	if !slices.Contains(words, T(text)) {
		return fmt.Errorf("not one of %q", words)
	}
	*into = T(text)
	return nil
}

// Link is the base URL of another page without a trailing slash, ready for a path to be appended; empty: not
// configured. It holds no character that could end an HTML attribute.
type Link string

// Sibling is a [Link] to the other service or, like ":8085/pets", its port on the host of each request, and its path.
type Sibling Link

// UnmarshalText accepts links, and ports with or without a path.
func (s *Sibling) UnmarshalText(text []byte) error {
	host := ""
	if bytes.HasPrefix(text, []byte(":")) {
		host = "http://localhost"
	}
	if err := (*Link)(s).UnmarshalText([]byte(host + string(text))); err != nil {
		return fmt.Errorf("%w, nor a port like :8085 on the host of the request", err)
	}
	*s = Sibling(strings.TrimPrefix(string(*s), host))
	return nil
}

var linkHost = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// UnmarshalText accepts absolute http and https URLs without user, query and fragment.
func (l *Link) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !linkHost.MatchString(u.Host) ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("not an address like http://host or https://host/path, without user, query and fragment")
	}
	*l = Link(strings.TrimRight(u.String(), "/"))
	return nil
}
