// Package containers finds the platform's containers as Docker Compose runs them, and asks the Redis and PostgreSQL
// among them. It recognises containers by Compose's labels, so it needs none of the files they were made from.
package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// Project is the platform of one Compose project. It implements ledger.Store.
type Project string

// The labels by which Compose marks its containers.
const (
	labelProject = "com.docker.compose.project"
	LabelService = "com.docker.compose.service" // its value is the name in the Compose files
	labelOneOff  = "com.docker.compose.oneoff"
)

// Container is the part of docker inspect's answer that the tools and the container tests use.
type Container struct {
	ID, Name, Image string
	RestartCount    int
	State           struct {
		Running, Paused, OOMKilled bool
		Status                     string
		Pid, ExitCode              int
		StartedAt                  time.Time
		Health                     struct{ Status string }
	}
	Config struct {
		Hostname string
		Env      []string
		Labels   map[string]string
	}
	HostConfig struct {
		PortBindings                                map[string][]binding // as configured, also of a stopped container
		PublishAllPorts, Privileged, ReadonlyRootfs bool
		CapDrop, CapAdd, SecurityOpt                []string
		Memory, PidsLimit                           int64
		RestartPolicy                               struct{ Name string }
	}
	NetworkSettings struct {
		Networks map[string]struct{ NetworkID string }
		Ports    map[string][]binding // as they are; empty for a stopped container
	}
}

type binding struct{ HostIP, HostPort string }

// Published is the address of the first port that is reachable from outside, or will be when the container runs; else
// empty.
func (c Container) Published() string {
	for _, ports := range []map[string][]binding{c.NetworkSettings.Ports, c.HostConfig.PortBindings} {
		for _, bindings := range ports {
			if len(bindings) == 0 || bindings[0].HostPort == "" {
				continue
			}
			host := bindings[0].HostIP
			if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
				host = "localhost"
			}
			return "http://" + net.JoinHostPort(host, bindings[0].HostPort)
		}
	}
	return ""
}

// ErrNone reports that nothing of a project is there, not even stopped containers.
var ErrNone = errors.New("no containers")

// All returns the project's containers by part, without those made by docker compose run.
func (p Project) All(ctx context.Context) (map[string][]Container, error) {
	out, err := Docker(ctx, "ps", "--all", "--quiet", "--no-trunc",
		"--filter", "label="+labelProject+"="+string(p), "--filter", "label="+labelOneOff+"=False")
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(out)
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w of the project %s; ./scripts/up --docker starts them", ErrNone, string(p))
	}
	if out, err = Docker(ctx, append([]string{"inspect"}, ids...)...); err != nil {
		return nil, err
	}
	var list []Container
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("docker inspect: %w", err)
	}
	all := make(map[string][]Container)
	for _, one := range list {
		part := one.Config.Labels[LabelService]
		if part == "db" {
			part = platform.Postgres
		}
		all[part] = append(all[part], one)
	}
	return all, nil
}

// Of returns the containers of a part; there is at least one.
func (p Project) Of(ctx context.Context, part string) ([]Container, error) {
	all, err := p.All(ctx)
	if err == nil && len(all[part]) == 0 {
		err = fmt.Errorf("no container of %s", part)
	}
	return all[part], err
}

// Docker runs the docker command and returns its standard output, without white space around it. The command has a
// process group of its own: Ctrl-C is meant for this program, which may still need docker.
func Docker(ctx context.Context, args ...string) (string, error) {
	return DockerWith(ctx, nil, "", args...)
}

// DockerWith also adds variables to the command's environment, and gives it a standard input.
func DockerWith(ctx context.Context, env []string, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it stops its plug-ins
	cmd.WaitDelay = time.Second                                           // then it is killed
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("docker %s: %w: %s", args[0], errors.Join(err, context.Cause(ctx)),
			strings.TrimSpace(problems.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// Remove ends and removes a container, if it exists.
func Remove(ctx context.Context, name string) error {
	_, err := Docker(ctx, "rm", "--force", name)
	if err != nil && strings.Contains(err.Error(), "No such container") {
		return nil
	}
	return err
}

// Redis runs a command by the client inside the container of a Redis, with the password found there: it publishes no
// port.
func (p Project) Redis(ctx context.Context, part string, command ...string) (string, error) {
	list, err := p.Of(ctx, part)
	if err != nil {
		return "", err
	}
	return list[0].redis(ctx, command...)
}

func (c Container) redis(ctx context.Context, command ...string) (string, error) {
	cli := []string{"exec", c.ID, "sh", "/usr/local/etc/redis/redis.sh", "cli"}
	return Docker(ctx, append(cli, command...)...)
}

// queues are the containers of all Redis, running or not, in the order of the queues; there is at least one.
func (p Project) queues(ctx context.Context) (queues []Container, err error) {
	all, err := p.All(ctx)
	for place := 0; len(all[platform.Queue(place)]) > 0; place++ {
		queues = append(queues, all[platform.Queue(place)][0])
	}
	if err == nil && len(queues) == 0 {
		err = fmt.Errorf("no container of %s", platform.Redis)
	}
	return queues, err
}

// Query runs SQL by the client inside PostgreSQL's container as the owner of a database (empty: the platform's own). It
// returns a line for each row, with commas between the fields.
func (p Project) Query(ctx context.Context, database, sql string) (string, error) {
	list, err := p.Of(ctx, platform.Postgres)
	if err != nil {
		return "", err
	}
	const psql = `exec psql --no-psqlrc --quiet --tuples-only --no-align --field-separator=, --set=ON_ERROR_STOP=1 \
		--username="$POSTGRES_USER" --dbname="${1:-$POSTGRES_DB}" --file=-`
	return DockerWith(ctx, nil, sql, "exec", "--interactive", list[0].ID, "sh", "-c", psql, "psql", database)
}

func number(out string, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(out, 10, 64)
}

func (p Project) Queued(ctx context.Context) (n int64, err error) {
	queues, err := p.queues(ctx)
	for _, queue := range queues {
		length, failed := number(queue.redis(ctx, "XLEN", votestream.Stream))
		n, err = n+length, errors.Join(err, failed)
	}
	return n, err
}

func (p Project) Stored(ctx context.Context) (int64, error) {
	return number(p.Query(ctx, "", ledger.StoredSQL))
}

func (p Project) Standings(ctx context.Context) (s ledger.Standings, err error) {
	out, err := p.Query(ctx, "", ledger.StandingsSQL)
	if err == nil {
		_, err = fmt.Sscanf(out, "%d,%d,%d,%d,%d,%d,%d", &s.Rows.Dogs, &s.Rows.Cats, &s.Rows.Lizards,
			&s.Tally.Dogs, &s.Tally.Cats, &s.Tally.Lizards, &s.Duplicates)
	}
	if err != nil {
		return s, fmt.Errorf("ask PostgreSQL: %w", err)
	}
	queues, err := p.queues(ctx)
	for _, queue := range queues {
		added, waiting, failed := queue.stream(ctx, votestream.Stream)
		dead, _, failedDead := queue.stream(ctx, votestream.DeadStream)
		s.Added, s.Waiting, s.Dead = s.Added+added, s.Waiting+waiting, s.Dead+dead
		err = errors.Join(err, failed, failedDead)
	}
	return s, err
}

var streamInfo = regexp.MustCompile(`(?s)^length\n(\d+)\n.*?\nentries-added\n(\d+)\n`)

// stream returns how many entries were ever added to a stream, and how many it holds. A missing stream has none.
func (c Container) stream(ctx context.Context, key string) (added, length int64, err error) {
	if n, err := number(c.redis(ctx, "EXISTS", key)); err != nil || n == 0 {
		return 0, 0, err
	}
	out, err := c.redis(ctx, "XINFO", "STREAM", key)
	if found := streamInfo.FindStringSubmatch(out); err == nil && found != nil {
		length, err = strconv.ParseInt(found[1], 10, 64)
		added, _ = strconv.ParseInt(found[2], 10, 64)
	} else if err == nil {
		err = fmt.Errorf("XINFO STREAM %s: %q", key, out)
	}
	return added, length, err
}

func (p Project) StoredSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error) {
	out, err := p.Query(ctx, "",
		"select id, pet from public.votes where cast_at >= '"+since.UTC().Format(time.RFC3339Nano)+"'")
	stored := make(map[uuid.UUID]ballot.Choice)
	for line := range strings.Lines(out) {
		text, pet, _ := strings.Cut(strings.TrimSpace(line), ",")
		id, parseErr := uuid.Parse(text)
		stored[id] = ballot.Choice(pet)
		err = errors.Join(err, parseErr)
	}
	return stored, err
}
