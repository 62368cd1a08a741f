package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisConfig describes a private Redis server. The zero value of a field means what its comment says.
type RedisConfig struct {
	Dir       string    // holds its data; made if missing; required
	Port      int       // 0: a free one, kept from then on
	MaxMemory string    // as in redis.conf; "": 256mb
	Output    io.Writer // receives its log; nil: only Log keeps the end of it
}

// Redis is a private Redis server that keeps the platform's promise: every write it accepted is on disk (append-only
// file, fsync before each answer), and when its memory is full it refuses writes and evicts nothing.
type Redis struct {
	*Process
	place
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
	r := &Redis{place: at}
	r.Process = NewProcess(Spec{
		Name: "redis", Path: path, Dir: at.Dir, Credential: at.owner, Output: cfg.Output, Ready: r.ready,
		Args: []string{
			"--bind", Loopback, "--port", strconv.Itoa(at.Port), "--dir", at.Dir,
			"--appendonly", "yes", "--appendfsync", "always", "--save", "",
			"--maxmemory", cmp.Or(cfg.MaxMemory, "256mb"), "--maxmemory-policy", "noeviction",
		},
	})
	return r, nil
}

// Start starts the server and returns once it has read its data and takes commands, like Process.Start.
func (r *Redis) Start(ctx context.Context) error {
	if err := ownDir(r.owner, r.Dir); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	return r.Process.Start(ctx)
}

// ready checks that the server has loaded its data and is the one we started: another may have the port.
func (r *Redis) ready(ctx context.Context, pid int) error {
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
	defer client.Close()
	info, err := client.Info(ctx, "server").Result() // answers -LOADING until the data is read
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = fmt.Errorf("another server answers on port %d", r.Port)
	}
	return err
}

// URL is the server's address for redis.ParseURL.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Discard stops the server and removes its data. Having to kill it is an error, but the data is removed all the same.
func (r *Redis) Discard(ctx context.Context) error {
	return errors.Join(r.Stop(ctx), os.RemoveAll(r.Dir))
}
