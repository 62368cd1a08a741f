package votestream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	Password string      `env:"REDIS_PASSWORD"`
	URL      RedisURL    `env:"REDIS_URL"` // replaces the others
}

// RedisURL is an address of the form redis://user:password@host:port/db.
type RedisURL struct{ options *redis.Options }

// UnmarshalText does not repeat a malformed URL in its error: it may hold a password.
func (u *RedisURL) UnmarshalText(text []byte) error {
	options, err := redis.ParseURL(string(text))
	if err != nil {
		return errors.New("not of the form redis://user:password@host:port/db")
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
		o = &redis.Options{Addr: c.Port.On(c.Host), Password: c.Password}
	}
	o.PoolSize = otherConns + readers
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = dialTimeout
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = ioTimeout, ioTimeout, ioTimeout
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

// ErrForeignKey reports that the stream's key holds something else, such as the list of an older system's queue.
var ErrForeignKey = errors.New(`the Redis key "votes" does not hold a stream; if it is the list of an older system, ` +
	`drain it or move it out of the way (redis-cli RENAME votes votes:old); no service will touch it`)

// IsPermanent reports errors with which Redis would answer again. Out of memory, loading, read-only and the like pass.
func IsPermanent(err error) bool {
	return errors.Is(err, redis.Nil) || errors.Is(err, ErrForeignKey) ||
		errors.Is(err, ErrNotQueued) || errors.Is(err, ErrMaybeQueued)
}

// explain replaces the one error of Redis that an operator must resolve with an explanation.
func explain(err error) error {
	const code = "WRONGTYPE"
	inScript := redis.HasErrorPrefix(err, "Error running script") && strings.Contains(err.Error(), code)
	if inScript || redis.HasErrorPrefix(err, code) {
		return ErrForeignKey
	}
	return err
}
