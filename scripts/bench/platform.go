package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/shared/votestream"
)

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "petvote").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository (run it from there): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (b *bench) build(ctx context.Context) error {
	return servers.Run(ctx, servers.Spec{
		Name: "go build", Path: "go", Dir: b.source,
		Args: []string{"build", "-buildvcs=false", "-tags=grpcnotrace", "-o", b.bin("") + "/", "./services/vote", "./services/worker", "./services/result"},
	})
}

// service is one of the programs.
type service struct {
	*servers.Process
	port, ops int
}

func (s *service) addr() string { return servers.Loopback + ":" + strconv.Itoa(s.port) }

func (s *service) url(path string) string { return "http://" + s.addr() + path }

func (s *service) opsURL(path string) string {
	return fmt.Sprintf("http://%s:%d%s", servers.Loopback, s.ops, path)
}

// platform is a whole one, with empty data, for one row.
type platform struct {
	redis                *servers.Redis
	postgres             *servers.Postgres
	vote, worker, result *service
	rdb                  *redis.Client
	db                   *pgxpool.Pool
	queue                *votestream.Queue
	sink                 *http.Server
}

// services are in the order of their start.
func (p *platform) services() []*service { return []*service{p.worker, p.result, p.vote} }

// newPlatform starts Redis, PostgreSQL and the three services; the caller closes it. A share of the traces goes to the endpoint,
// "" for a sink that drops them.
func (b *bench) newPlatform(ctx context.Context, endpoint, share string) (p *platform, err error) {
	dir, err := os.MkdirTemp(b.dir, "platform-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	p = &platform{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	p.redis, err = servers.NewRedis(servers.RedisConfig{Dir: filepath.Join(dir, "redis"), MaxMemory: "2gb"})
	if err != nil {
		return p, err
	}
	if p.postgres, err = servers.NewPostgres(servers.PostgresConfig{Dir: filepath.Join(dir, "postgres"), Settings: []string{"max_wal_size=4GB"}}); err != nil {
		return p, err
	}
	if err := errors.Join(p.redis.Start(ctx), p.postgres.Start(ctx)); err != nil {
		return p, err
	}
	p.rdb = redis.NewClient(&redis.Options{Addr: p.redis.Addr(), MaxRetries: -1})
	p.queue = votestream.NewQueue(p.rdb)
	if p.db, err = pgxpool.New(ctx, p.postgres.URL()); err != nil {
		return p, err
	}
	if endpoint == "" {
		if p.sink, endpoint, err = newSink(); err != nil {
			return p, err
		}
	}
	env := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=" + share,
		"REDIS_HOST=" + p.redis.Host(), "REDIS_PORT=" + strconv.Itoa(p.redis.Port()), "DATABASE_URL=" + p.postgres.URL(),
		"LISTEN_HOST=" + servers.Loopback, "CONSUMER_NAME=worker-1", "PPROF=" + strconv.FormatBool(b.pprof),
	}
	for name, s := range map[string]**service{"vote": &p.vote, "worker": &p.worker, "result": &p.result} {
		if *s, err = b.describe(name, env); err != nil {
			return p, err
		}
	}
	for _, s := range p.services() {
		if err := s.Start(ctx); err != nil {
			return p, err
		}
		if b.pprof {
			b.say("  profiles: %s", s.opsURL("/debug/pprof/profile"))
		}
	}
	return p, nil
}

func (b *bench) describe(name string, env []string) (*service, error) {
	port, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	ops, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	s := &service{port: port, ops: ops}
	s.Process = servers.NewProcess(servers.Spec{
		Name: name, Path: b.bin(name), Env: append([]string{"PORT=" + strconv.Itoa(port), "OPS_PORT=" + strconv.Itoa(ops)}, env...),
		Ready: func(ctx context.Context, _ int) error { return get(ctx, s.opsURL("/readyz"), nil) },
	})
	return s, nil
}

// stopWithin bounds the stop of each part.
const stopWithin = 20 * time.Second

// close ends everything, in the reverse order of the start, and removes the data. It does so on a context of its own, so that a
// Ctrl-C leaves nothing behind.
func (p *platform) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*stopWithin)
	defer cancel()
	var failed []error
	for _, s := range []*service{p.vote, p.worker, p.result} {
		if s != nil {
			failed = append(failed, s.Kill())
		}
	}
	if p.db != nil {
		p.db.Close()
	}
	if p.rdb != nil {
		failed = append(failed, p.rdb.Close())
	}
	if p.postgres != nil {
		failed = append(failed, p.postgres.Discard(ctx))
	}
	if p.redis != nil {
		failed = append(failed, p.redis.Discard(ctx))
	}
	if p.sink != nil {
		failed = append(failed, p.sink.Close())
	}
	return errors.Join(failed...)
}

// drained waits until nothing is left in the stream.
func (p *platform) drained(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("the queue is not empty after %v", within))
	defer cancel()
	for {
		st, err := p.queue.Stats(ctx)
		if err != nil {
			return err
		}
		if st.Waiting+st.InFlight == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// balance checks that what was accepted is stored, each once. It is how a run with errors is found out.
func (p *platform) balance(ctx context.Context, accepted int) error {
	return p.covers(ctx, accepted, 0)
}

// covers checks the same where some votes were refused with 503, which may have got through nevertheless.
func (p *platform) covers(ctx context.Context, accepted, refused int) error {
	if err := p.drained(ctx, time.Minute); err != nil {
		return err
	}
	var stored, tally int
	if err := p.db.QueryRow(ctx, `select (select count(*) from votes), (select sum(votes) from tally)`).Scan(&stored, &tally); err != nil {
		return err
	}
	if stored < accepted || stored > accepted+refused || tally != stored {
		return fmt.Errorf("%d votes were accepted and %d refused, %d are stored and %d counted", accepted, refused, stored, tally)
	}
	return nil
}

// pause waits, or returns why it can't.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// get reads JSON; into may be nil.
func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", url, resp.StatusCode, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// page reads a page to its end.
func page(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return nil
}
