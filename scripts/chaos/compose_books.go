package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// What follows runs inside the containers of Redis and PostgreSQL, with the clients and the passwords that are there: neither
// publishes a port.

func (c *composeTarget) redis(ctx context.Context, command ...string) (string, error) {
	list, err := c.of(ctx, redis)
	if err != nil {
		return "", err
	}
	return c.docker(ctx, nil, append([]string{"exec", list[0].ID, "sh", "/usr/local/etc/redis/redis.sh", "cli"}, command...)...)
}

// query runs SQL as the owner of a database, the platform's own if it is empty, and returns a line for each row, with commas
// between the fields.
func (c *composeTarget) query(ctx context.Context, database, sql string) (string, error) {
	list, err := c.of(ctx, postgres)
	if err != nil {
		return "", err
	}
	const psql = `exec psql --no-psqlrc --quiet --tuples-only --no-align --field-separator=, --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="${1:-$POSTGRES_DB}" --file=-`
	return c.docker(ctx, []byte(sql), "exec", "--interactive", list[0].ID, "sh", "-c", psql, "psql", database)
}

// sql runs statements whose rows are of no interest.
func (c *composeTarget) sql(ctx context.Context, database, statements string) error {
	_, err := c.query(ctx, database, statements)
	return err
}

// Nobody gets into a database that allows no connections, its owner included. The statements run in another.
const (
	refuseConnections = `\getenv db POSTGRES_DB
alter database :"db" allow_connections false;
select pg_terminate_backend(pid) from pg_stat_activity where datname = :'db' and pid <> pg_backend_pid();`
	allowConnections = `\getenv db POSTGRES_DB
alter database :"db" allow_connections true;`
)

// setting is the value of a setting of Redis.
func (c *composeTarget) setting(ctx context.Context, name string) (string, error) {
	out, err := c.redis(ctx, "CONFIG", "GET", name)
	if err != nil {
		return "", err
	}
	_, value, found := strings.Cut(strings.TrimSpace(out), "\n")
	if !found {
		return "", fmt.Errorf("no setting %s in Redis", name)
	}
	return value, nil
}

func (c *composeTarget) standings(ctx context.Context) (standings, error) {
	var s standings
	out, err := c.query(ctx, "", standingsSQL)
	if err == nil {
		_, err = fmt.Sscanf(strings.TrimSpace(out), "%d,%d,%d,%d,%d,%d,%d",
			&s.rows.Dogs, &s.rows.Cats, &s.rows.Lizards, &s.tally.Dogs, &s.tally.Cats, &s.tally.Lizards, &s.duplicates)
	}
	if err != nil {
		return standings{}, fmt.Errorf("ask PostgreSQL: %w", err)
	}
	if s.added, s.waiting, err = c.stream(ctx, votestream.Stream); err != nil {
		return standings{}, fmt.Errorf("ask Redis: %w", err)
	}
	if s.deadEver, _, err = c.stream(ctx, votestream.DeadStream); err != nil {
		return standings{}, fmt.Errorf("ask Redis: %w", err)
	}
	return s, nil
}

// stream tells how many entries were ever added to a stream, and how many are in it. A stream that is not there has none.
func (c *composeTarget) stream(ctx context.Context, key string) (added, length int64, err error) {
	if out, err := c.redis(ctx, "EXISTS", key); err != nil || strings.TrimSpace(out) == "0" {
		return 0, 0, err
	}
	out, err := c.redis(ctx, "XINFO", "STREAM", key)
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Split(out, "\n")
	for i := 0; i+1 < len(fields); i += 2 {
		switch strings.TrimSpace(fields[i]) {
		case "entries-added":
			added, err = strconv.ParseInt(strings.TrimSpace(fields[i+1]), 10, 64)
		case "length":
			length, err = strconv.ParseInt(strings.TrimSpace(fields[i+1]), 10, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return added, length, nil
}

func (c *composeTarget) storedSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error) {
	out, err := c.query(ctx, "", "select id, pet from votes where cast_at >= '"+since.UTC().Format(time.RFC3339Nano)+"'")
	if err != nil {
		return nil, fmt.Errorf("read the votes: %w", err)
	}
	stored := make(map[uuid.UUID]ballot.Choice)
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		text, pet, _ := strings.Cut(lines.Text(), ",")
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read the votes: %q: %w", lines.Text(), err)
		}
		stored[id] = ballot.Choice(pet)
	}
	return stored, nil
}

func (c *composeTarget) queued(ctx context.Context) (int64, error) {
	out, err := c.redis(ctx, "XLEN", votestream.Stream)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(out), 10, 64)
}

func (c *composeTarget) stored(ctx context.Context) (int64, error) {
	out, err := c.query(ctx, "", `select sum(votes)::bigint from tally`)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(out), 10, 64)
}

// health asks the service's own program, as the containers' health check does.
func (c *composeTarget) health(ctx context.Context, service string) (health, error) {
	list, err := c.of(ctx, service)
	if err != nil {
		return health{}, err
	}
	out, err := c.docker(ctx, nil, "exec", list[0].ID, "/app/"+service, "health")
	var h health
	if json.Unmarshal([]byte(out), &h) != nil {
		return health{}, errors.Join(errors.New("no answer"), err)
	}
	return h, nil // which may say that it is not ready
}

func (c *composeTarget) lives(ctx context.Context) (map[string]string, error) {
	all, err := c.containers(ctx)
	if err != nil {
		return nil, err
	}
	lives := make(map[string]string, len(services))
	for _, service := range services {
		for _, one := range all[service] {
			life := "gone"
			if one.State.Running {
				life = fmt.Sprint(one.State.StartedAt, one.RestartCount)
			}
			lives[service] += one.ID[:12] + " " + life + " "
		}
	}
	return lives, nil
}
