package config

import (
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Service is what every service reads besides the addresses of its dependencies.
type Service struct {
	Host      string     `env:"LISTEN_HOST"` // the address to listen on; "" is every one the machine has
	OpsPort   Port       `env:"OPS_PORT" envDefault:"9464"`
	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat LogFormat  `env:"LOG_FORMAT" envDefault:"json"`
	Pprof     bool       `env:"PPROF"` // serve Go's profiles on the ops port
}

// Port is a TCP port. 0 stands for one that the system chooses.
type Port uint16

// UnmarshalText refuses what is no port.
func (p *Port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return errors.New("not a port number (0 to 65535)")
	}
	*p = Port(n)
	return nil
}

// On is the port on a host, as net.Listen takes it.
func (p Port) On(host string) string { return net.JoinHostPort(host, p.String()) }

func (p Port) String() string { return strconv.Itoa(int(p)) }

// Delay is a short time, from none to a minute.
type Delay time.Duration

// UnmarshalText refuses others.
func (d *Delay) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 || v > time.Minute {
		return errors.New(`not a time from 0s to 1m, such as "500ms"`)
	}
	*d = Delay(v)
	return nil
}

// LogFormat is "json", for machines, or "text", for people.
type LogFormat string

// UnmarshalText refuses other formats.
func (f *LogFormat) UnmarshalText(text []byte) error {
	switch v := LogFormat(strings.ToLower(string(text))); v {
	case "json", "text":
		*f = v
		return nil
	}
	return errors.New(`not a log format ("json" or "text")`)
}

// Link is the base URL of another page, without a slash at its end; empty if there is none.
type Link string

// UnmarshalText refuses what is no absolute http or https URL.
func (l *Link) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("not an address of the form http://host or https://host/path, without user, query and fragment")
	}
	*l = Link(strings.TrimRight(u.String(), "/"))
	return nil
}
