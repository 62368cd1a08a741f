package votestream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"petvote/shared/config"
)

// Config is the address of Redis.
type Config struct {
	Host     string      `env:"REDIS_HOST" envDefault:"localhost"`
	Port     config.Port `env:"REDIS_PORT" envDefault:"6379"`
	Username string      `env:"REDIS_USERNAME"` // an ACL user; "": the user "default"
	Password string      `env:"REDIS_PASSWORD"`
	URL      RedisURL    `env:"REDIS_URL"` // replaces the others
}

// RedisURL is an address of the form redis://user:password@host:port/db, or rediss:// for TLS.
type RedisURL struct{ options *redis.Options }

// ownOptions are those that petvote sets itself: its policies bound and repeat calls.
var ownOptions = []string{"max_retries", "min_retry_backoff", "max_retry_backoff", "pool_size", "pool_timeout"}

// UnmarshalText says which part of the URL is bad, and repeats none that may hold a piece of the password.
func (u *RedisURL) UnmarshalText(text []byte) error {
	address, err := url.Parse(string(text))
	if err != nil || strings.ContainsAny(address.Path+address.RawQuery+address.Fragment, "@") {
		return errors.New("not of the form redis://user:password@host:port/db; in user and password, all but letters, " +
			"digits and -._~ must be percent-encoded, such as / as %2F")
	}
	if address.Host == "" && address.Scheme != "unix" {
		return errors.New("it names no host: it must be of the form redis://user:password@host:port/db")
	}
	for _, name := range ownOptions {
		if address.Query().Has(name) {
			return fmt.Errorf("the option %s can't be set: petvote sets it itself", name)
		}
	}
	options, err := redis.ParseURL(string(text))
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
	}
	u.options = options
	return nil
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

// Dial returns a client that connects on first use, with a connection more for each blocking reader. It never retries.
// After a failover behind the address it gives up the connections that lead to the old server.
func (c Config) Dial(readers int) *redis.Client {
	o := c.URL.options
	if o == nil {
		o = &redis.Options{Addr: c.Port.On(c.Host), Username: c.Username, Password: c.Password}
	}
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
	rdb := redis.NewClient(o)
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

// IsPermanent reports errors with which Redis would answer again. Out of memory, loading, read-only and the like pass.
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
