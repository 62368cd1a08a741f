package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	Command   []string  // what runs in place of Redis's program, with its arguments behind its own; nil: that program
	Args      []string  // further ones, which override those that the platform needs
	Env       []string  // its environment; nil: this process's own
	Slots     string    // cluster mode, in which it serves these, like "0-16383"; "": no cluster mode
}

// Redis is a private Redis server that keeps the platform's promise: every write it accepted is on disk (append-only
// file, fsync before each answer), and when its memory is full it refuses writes and evicts nothing.
type Redis struct {
	*Process
	place
	slots string
}

// NewRedis describes a server without starting it. The error is ErrNotInstalled if this machine has neither Redis nor
// Valkey.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	command := cfg.Command
	if command == nil {
		path, err := findRedis()
		if err != nil {
			return nil, err
		}
		command = []string{path}
	}
	at, err := newPlace(cfg.Dir, cfg.Port, "redis")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r := &Redis{place: at, slots: cfg.Slots}
	args := append(slices.Clone(command[1:]),
		"--bind", Loopback, "--port", strconv.Itoa(at.port), "--dir", at.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "",
		"--maxmemory", cmp.Or(cfg.MaxMemory, "256mb"), "--maxmemory-policy", "noeviction")
	if cfg.Slots != "" {
		bus, err := FreePort()
		if err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
	}
	r.Process = NewProcess(Spec{
		Name: "redis", Path: command[0], Args: append(args, cfg.Args...), Env: cfg.Env, Dir: at.dir, Credential: at.owner,
		Output: cfg.Output, Ready: r.ready,
	})
	return r, nil
}

// Start starts the server and returns once it has read its data and takes commands, like Process.Start.
func (r *Redis) Start(ctx context.Context) error {
	if err := ownDir(r.owner, r.dir); err != nil {
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
		err = fmt.Errorf("another server answers on port %d", r.port)
	}
	if err == nil && r.slots != "" {
		err = r.serveSlots(ctx, client)
	}
	return err
}

// serveSlots gives a server in cluster mode its slots and checks that it serves them.
func (r *Redis) serveSlots(ctx context.Context, client *redis.Client) error {
	info, err := client.ClusterInfo(ctx).Result()
	if err == nil && strings.Contains(info, "cluster_slots_assigned:0\r\n") {
		first, last, _ := strings.Cut(r.slots, "-")
		err = client.Do(ctx, "cluster", "addslotsrange", first, last).Err()
	}
	if err == nil && r.slots == AllSlots && !strings.Contains(info, "cluster_state:ok") {
		err = errors.New("it does not serve its slots yet")
	}
	return err
}

// AllSlots are those of a cluster of one server, for [RedisConfig].
const AllSlots = "0-16383"

// URL is the server's address for redis.ParseURL.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Discard stops the server and removes its data. Having to kill it is an error, but the data is removed all the same.
func (r *Redis) Discard(ctx context.Context) error {
	return errors.Join(r.Stop(ctx), os.RemoveAll(r.dir))
}
