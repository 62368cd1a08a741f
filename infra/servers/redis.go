package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisConfig describes a private Redis server. The zero value of a field means what its comment says.
type RedisConfig struct {
	Dir       string    // holds its data; made if missing; required
	Port      int       // 0: a free one, kept from then on
	Password  string    // "": none asked for
	MaxMemory string    // as in redis.conf; "": 256mb
	Settings  []string  // further lines of redis.conf, which override those set here
	Output    io.Writer // receives its log; nil: only Log keeps the end of it
}

// Redis is a private Redis server that keeps the platform's promise: what it has accepted is on disk (append-only file, fsync
// before each answer), and when its memory is full it refuses writes and forgets nothing.
type Redis struct {
	*Process
	cfg     RedisConfig
	account *account
}

// NewRedis describes a server without starting it. The error is ErrNotInstalled if this machine has neither Redis nor Valkey.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	path, err := findRedis()
	if err != nil {
		return nil, err
	}
	account, err := unprivileged("redis")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.Port == 0 {
		if cfg.Port, err = FreePort(); err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	if cfg.MaxMemory == "" {
		cfg.MaxMemory = "256mb"
	}
	r := &Redis{cfg: cfg, account: account}
	r.Process = NewProcess(Spec{
		Name:       "redis",
		Path:       path,
		Args:       []string{filepath.Join(cfg.Dir, "redis.conf")},
		Dir:        cfg.Dir,
		Credential: account.credential(),
		Output:     cfg.Output,
		Ready:      r.ready,
	})
	return r, nil
}

// Start starts the server and returns once it has read its data and takes commands, like Process.Start.
func (r *Redis) Start(ctx context.Context) error {
	if err := r.account.ownDir(r.cfg.Dir); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	if err := r.account.ownFile(filepath.Join(r.cfg.Dir, "redis.conf"), []byte(r.config())); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	return r.Process.Start(ctx)
}

// config is a file rather than arguments, so that the password shows in no process list.
func (r *Redis) config() string {
	lines := []string{
		"# Written anew at every start.",
		"bind " + Loopback,
		"port " + strconv.Itoa(r.cfg.Port),
		"daemonize no",
		"dir " + strconv.Quote(r.cfg.Dir),
		"appendonly yes",
		"appendfsync always",
		`save ""`,
		"maxmemory " + r.cfg.MaxMemory,
		"maxmemory-policy noeviction",
	}
	if r.cfg.Password != "" {
		lines = append(lines, "requirepass "+strconv.Quote(r.cfg.Password))
	}
	return strings.Join(append(lines, r.cfg.Settings...), "\n") + "\n"
}

// ready asks the server whether it is the one we started (another may have the port) and has finished loading.
func (r *Redis) ready(ctx context.Context, pid int) error {
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), Password: r.cfg.Password, MaxRetries: -1})
	defer client.Close()
	info, err := client.Info(ctx, "server").Result() // answers -LOADING until the data is read
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		return fmt.Errorf("another server answers on port %d", r.cfg.Port)
	}
	return nil
}

// Host is the loopback address.
func (r *Redis) Host() string { return Loopback }

// Port is the same for all starts.
func (r *Redis) Port() int { return r.cfg.Port }

// Addr is host:port.
func (r *Redis) Addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(r.cfg.Port)) }

// Dir is where the data is.
func (r *Redis) Dir() string { return r.cfg.Dir }

// URL is what go-redis's ParseURL reads, with the password.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", Host: r.Addr(), Path: "/0"}
	if r.cfg.Password != "" {
		u.User = url.UserPassword("", r.cfg.Password)
	}
	return u.String()
}

// Discard ends the server and removes its data, even if it has to be killed for it, which is an error all the same.
func (r *Redis) Discard(ctx context.Context) error {
	return errors.Join(r.Stop(ctx), os.RemoveAll(r.cfg.Dir))
}
