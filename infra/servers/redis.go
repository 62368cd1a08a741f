package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"petvote/infra/wait"
)

// RedisConfig describes a private Redis server. The zero value of a field means what its comment says.
type RedisConfig struct {
	Name      string    // of the process; "": redis
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
	server
	slots string
}

// NewRedis describes a server without starting it. The error is ErrNotInstalled if this machine has neither Redis nor
// Valkey.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	command := cfg.Command
	if command == nil {
		path := findProgram("redis-server", "valkey-server")
		if path == "" {
			return nil, notInstalled("redis-server", "redis", "valkey", "redis")
		}
		command = []string{path}
	}
	at, err := newPlace(cfg.Dir, cfg.Port, "redis")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r := &Redis{server: server{place: at}, slots: cfg.Slots}
	args := append(slices.Clone(command[1:]),
		"--bind", Loopback, "--port", strconv.Itoa(at.Port), "--dir", at.Dir,
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
		Name: cmp.Or(cfg.Name, "redis"), Path: command[0], Args: append(args, cfg.Args...), Env: cfg.Env, Dir: at.Dir,
		Credential: at.owner, Output: cfg.Output, Ready: r.ready,
	})
	return r, nil
}

// Start starts the server and returns once it has read its data and takes commands, like Process.Start.
func (r *Redis) Start(ctx context.Context) error { return r.startWith(ctx, nil) }

func (r *Redis) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
}

// ready checks that the server has loaded its data and is the one we started: another may have the port.
func (r *Redis) ready(ctx context.Context, pid int) error {
	client := r.client()
	defer client.Close()
	info, err := client.Info(ctx, "server").Result() // answers -LOADING until the data is read
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = fmt.Errorf("another server answers on port %d", r.Port)
	}
	if err == nil && r.slots != "" {
		err = r.serveSlots(ctx, client)
	}
	return err
}

// Follow makes the server a replica, and returns once it has caught up with the primary.
func (r *Redis) Follow(ctx context.Context, primary *Redis) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	client := r.client()
	defer client.Close()
	source := primary.client()
	defer source.Close()
	err := errors.Join(
		source.ConfigSet(ctx, "repl-diskless-sync-delay", "0").Err(), // there won't be more replicas to wait for
		source.ConfigSet(ctx, "shutdown-timeout", "0").Err(),         // nor does a stop wait for one
		client.ConfigSet(ctx, "shutdown-timeout", "0").Err(),
		client.ReplicaOf(ctx, Loopback, strconv.Itoa(primary.Port)).Err())
	if err == nil {
		err = wait.Until(ctx, startLimit, func(ctx context.Context) error {
			info, err := client.Info(ctx, "replication", "persistence").Result()
			known, errKnown := source.Info(ctx, "replication").Result()
			if err := errors.Join(err, errKnown); err != nil {
				return err
			}
			// While it rewrites its file, it neither syncs nor stops. It is online to the primary a moment after the link is up.
			for _, want := range []string{"master_link_status:up", "aof_rewrite_in_progress:0", "state=online"} {
				if !strings.Contains(info+known, want) {
					return fmt.Errorf("not yet %s", want)
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("replicate redis: %w", err)
	}
	return nil
}

// HandOver exchanges the roles of a primary and its replica: writes wait until the replica has all of them, so none is
// lost. Connections stay, and lead to a read-only replica then.
func (r *Redis) HandOver(ctx context.Context, replica *Redis) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	old := r.client()
	defer old.Close()
	next := replica.client()
	defer next.Close()
	err := old.Do(ctx, "failover", "to", Loopback, replica.Port).Err()
	if err == nil {
		err = wait.Until(ctx, startLimit, func(ctx context.Context) error {
			for client, role := range map[*redis.Client]string{next: "role:master", old: "role:slave"} {
				info, err := client.Info(ctx, "replication").Result()
				if err == nil && !strings.Contains(info, role) {
					err = fmt.Errorf("no %s yet", role)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("hand redis over: %w", err)
	}
	return nil
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
