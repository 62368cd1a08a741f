package votestream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"petvote/shared/config"
)

// Config holds the addresses of the queues, of which each is a Redis of its own. All services must have the same ones,
// in the same order: a queue's name is its place among them.
type Config struct {
	Hosts    Hosts        `env:"REDIS_HOST" envDefault:"localhost"`
	Port     config.Count `env:"REDIS_PORT" envDefault:"6379"` // of the hosts that name none
	Username string       `env:"REDIS_USERNAME"`               // an ACL user; "": the user "default"
	Password string       `env:"REDIS_PASSWORD"`
	URLs     URLs         `env:"REDIS_URL"` // replace the others
}

// maxQueues bounds the number of queues.
const maxQueues = 16

// Hosts are hosts separated by commas, each with or without a port.
type Hosts []string

// UnmarshalText refuses hosts and ports that can't be, queues named twice, and too many.
func (h *Hosts) UnmarshalText(text []byte) error {
	*h = nil
	for part := range strings.SplitSeq(string(text), ",") {
		host := strings.TrimSpace(part)
		if strings.Contains(host, "://") {
			return errors.New("not of the form host or host:port; did you mean REDIS_URL?")
		}
		name, port, err := net.SplitHostPort(host)
		if err != nil { // it names no port
			name, port = host, "1"
		}
		if err := new(config.Host).UnmarshalText([]byte(name)); err != nil {
			return errors.New("not of the form host, host:port, or several with commas between")
		}
		if err := new(config.Count).UnmarshalText([]byte(port)); err != nil {
			return fmt.Errorf("the port of %s is %w", name, err)
		}
		*h = append(*h, host)
	}
	return checkList(*h, sameHost)
}

// splitPort splits a port off a host, if it has one. An IPv6 address with a port has brackets.
func splitPort(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	return strings.Trim(host, "[]"), ""
}

// sameHost reports that two hosts may be one queue. A host without a port has that of REDIS_PORT, which is not known
// here.
func sameHost(a, b string) bool {
	nameA, portA := splitPort(a)
	nameB, portB := splitPort(b)
	return strings.EqualFold(nameA, nameB) && (portA == portB || portA == "" || portB == "")
}

// checkList refuses a list with the same queue twice, or with too many.
func checkList[T any](queues []T, same func(a, b T) bool) error {
	if len(queues) > maxQueues {
		return fmt.Errorf("more than %d queues", maxQueues)
	}
	for i, q := range queues {
		if slices.ContainsFunc(queues[:i], func(other T) bool { return same(q, other) }) {
			return errors.New("it names the same queue twice; of those on one host each needs a port of its own")
		}
	}
	return nil
}

// URLs are addresses of the form redis://user:password@host:port/db, or rediss:// for TLS, separated by commas.
type URLs struct{ options []*redis.Options }

// ownOptions are those that petvote sets itself: its policies bound and repeat calls.
var ownOptions = []string{"max_retries", "min_retry_backoff", "max_retry_backoff", "pool_size", "pool_timeout"}

// UnmarshalText says which part of a URL is bad, and repeats none that may hold a piece of the password.
func (u *URLs) UnmarshalText(text []byte) error {
	var list []string
	for part := range strings.SplitSeq(string(text), ",") {
		if len(list) > 0 && !strings.Contains(part, "://") { // the comma is part of the URL
			list[len(list)-1] += "," + part
		} else {
			list = append(list, strings.TrimSpace(part))
		}
	}
	u.options = nil
	for _, one := range list {
		if one == "" || strings.HasSuffix(strings.TrimSpace(one), ",") {
			return errors.New("a URL is missing before or after a comma")
		}
		options, err := parseURL(one)
		if err != nil {
			return err
		}
		u.options = append(u.options, options)
	}
	return checkList(u.options, func(a, b *redis.Options) bool {
		return strings.EqualFold(a.Addr, b.Addr) && a.DB == b.DB
	})
}

func parseURL(text string) (*redis.Options, error) {
	_, host, _ := strings.Cut(text, "://")
	host = host[strings.LastIndex(host, "@")+1:]
	if end := strings.IndexAny(host, ",/?#"); end >= 0 && host[end] == ',' {
		return nil, errors.New("a host has a comma: each URL must begin with redis:// or rediss://, after a comma too")
	}
	address, err := url.Parse(text)
	if err != nil || strings.ContainsAny(address.Path+address.RawQuery+address.Fragment, "@") {
		return nil, errors.New("not of the form redis://user:password@host:port/db; in user and password, all but " +
			"letters, digits and -._~ must be percent-encoded, such as / as %2F")
	}
	if address.Host == "" && address.Scheme != "unix" {
		return nil, errors.New("it names no host: it must be of the form redis://user:password@host:port/db")
	}
	if err := new(config.Host).UnmarshalText([]byte(address.Hostname())); err != nil && address.Scheme != "unix" {
		return nil, fmt.Errorf("its host is %w", err)
	}
	if port := address.Port(); port != "" {
		if err := new(config.Count).UnmarshalText([]byte(port)); err != nil {
			return nil, fmt.Errorf("its port is %w", err)
		}
	}
	for _, name := range ownOptions {
		if address.Query().Has(name) {
			return nil, fmt.Errorf("the option %s can't be set: petvote sets it itself", name)
		}
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "redis: "))
	}
	return options, nil
}

// The client's own limits lie below the policies' time-outs, so that a hanging connection is closed and replaced.
const (
	dialTimeout = 500 * time.Millisecond
	ioTimeout   = time.Second
	otherConns  = 16
)

// A connection may lead to a server that is no longer the right one, and answer reads all the same. So each lives for
// this long at most, unless the URL says otherwise.
const (
	connLifetime       = time.Minute
	connLifetimeJitter = 15 * time.Second // more or less
)

// Client is a client of one queue's Redis.
type Client struct {
	*redis.Client
	queue   string
	name    string
	servers *sync.Map // by each queue's name: its server's run_id and database, as last seen
}

// Queue is the queue's name, its place among the queues: "0", "1", …
func (c *Client) Queue() string { return c.queue }

// Name is the server's name for operators: "redis", or where there are several queues "redis-0", "redis-1", …
func (c *Client) Name() string { return c.name }

// Dial returns a client for each queue. It connects on first use, with a connection more for each blocking reader, and
// never retries. After a failover behind the address it gives up the connections that lead to the old server.
func (c Config) Dial(readers int) []*Client {
	all := c.URLs.options
	if len(all) == 0 {
		for _, host := range c.Hosts {
			if _, port := splitPort(host); port == "" {
				host = config.Port(c.Port).On(host)
			}
			all = append(all, &redis.Options{Addr: host, Username: c.Username, Password: c.Password})
		}
	}
	clients, servers := make([]*Client, len(all)), new(sync.Map)
	for i, o := range all {
		clients[i] = &Client{dial(*o, readers), strconv.Itoa(i), "redis", servers}
		if len(all) > 1 {
			clients[i].name += "-" + clients[i].queue
		}
	}
	return clients
}

func dial(o redis.Options, readers int) *redis.Client {
	o.PoolSize = otherConns + readers
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
	o.ReadTimeout, o.WriteTimeout = cmp.Or(o.ReadTimeout, ioTimeout), cmp.Or(o.WriteTimeout, ioTimeout)
	o.PoolTimeout = ioTimeout
	o.ContextTimeoutEnabled = true
	if o.ConnMaxLifetime == 0 {
		o.ConnMaxLifetime, o.ConnMaxLifetimeJitter = connLifetime, connLifetimeJitter
	}
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	quieten()
	rdb := redis.NewClient(&o)
	rdb.AddHook(new(retirement))
	return rdb
}

// quieten moves the client's own log, which repeats its errors, to the debug level.
var quieten = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })

type debugLog struct{}

func (debugLog) Printf(ctx context.Context, format string, v ...any) {
	slog.DebugContext(ctx, fmt.Sprintf(format, v...))
}

// ErrForeignKey reports that a key of the queue holds something else, such as the list of an older system's queue.
var ErrForeignKey = errors.New(`the Redis key "votes" (or one that begins with "{votes}:") does not hold a stream; ` +
	`if it is the list of an older system, drain it or move it out of the way (redis-cli RENAME votes votes:old); no ` +
	`service will touch it`)

// errOtherServer reports a Redis cluster of several servers, of which another holds the queue.
var errOtherServer = errors.New("this Redis is in a cluster of which another server holds the queue; connect to that " +
	"one, or better to a Redis that is no cluster, since petvote does not follow the queue to other servers")

// IsPermanent reports errors with which Redis would answer again and again. Others pass, such as out of memory.
func IsPermanent(err error) bool {
	return errors.Is(err, redis.Nil) || errors.Is(err, ErrForeignKey) ||
		errors.Is(err, ErrNotQueued) || errors.Is(err, ErrMaybeQueued)
}

// explain adds an explanation to the errors of Redis that an operator must resolve.
func explain(err error) error {
	const code = "WRONGTYPE"
	inScript := redis.HasErrorPrefix(err, "Error running script") && strings.Contains(err.Error(), code)
	if inScript || redis.HasErrorPrefix(err, code) {
		return ErrForeignKey
	}
	if redis.HasErrorPrefix(err, "MOVED") {
		return fmt.Errorf("%w: %w", errOtherServer, err)
	}
	return err
}
