package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Redis is a private Redis server that keeps the platform's promise: every write it accepted is on disk (append-only
// file, fsync before each answer), and when its memory is full it refuses writes and evicts nothing.
type Redis struct {
	*Process
	place
	cfg RedisConfig
}

// NewRedis describes a server without starting it. The error is ErrNotInstalled if this machine has neither Redis nor
// Valkey.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	path, err := findRedis()
	if err != nil {
		return nil, err
	}
	at, err := newPlace(cfg.Dir, cfg.Port, "redis")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if cfg.MaxMemory == "" {
		cfg.MaxMemory = "256mb"
	}
	r := &Redis{place: at, cfg: cfg}
	r.Process = NewProcess(Spec{
		Name: "redis", Path: path, Args: []string{filepath.Join(at.dir, "redis.conf")}, Dir: at.dir,
		Credential: at.owner, Output: cfg.Output, Ready: r.ready,
	})
	return r, nil
}

// Start starts the server and returns once it has read its data and takes commands, like Process.Start.
func (r *Redis) Start(ctx context.Context) error {
	err := ownDir(r.owner, r.dir)
	if err == nil {
		err = ownFile(r.owner, r.spec.Args[0], []byte(r.config()))
	}
	if err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	return r.Process.Start(ctx)
}

// config is a file rather than arguments, so that the password shows in no process list.
func (r *Redis) config() string {
	lines := []string{
		"# Rewritten at every start.",
		"bind " + Loopback,
		"port " + strconv.Itoa(r.port),
		"daemonize no",
		"dir " + strconv.Quote(r.dir),
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

// ready checks that the server has loaded its data and is the one we started: another may have the port.
func (r *Redis) ready(ctx context.Context, pid int) error {
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), Password: r.cfg.Password, MaxRetries: -1})
	defer client.Close()
	info, err := client.Info(ctx, "server").Result() // answers -LOADING until the data is read
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = fmt.Errorf("another server answers on port %d", r.port)
	}
	return err
}

// URL is the server's address for redis.ParseURL, with the password.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", Host: r.Addr(), Path: "/0"}
	if r.cfg.Password != "" {
		u.User = url.UserPassword("", r.cfg.Password)
	}
	return u.String()
}

// Discard stops the server and removes its data. Having to kill it is an error, but the data is removed all the same.
func (r *Redis) Discard(ctx context.Context) error {
	return errors.Join(r.Stop(ctx), os.RemoveAll(r.dir))
}
