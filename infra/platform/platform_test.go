package platform

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func TestServicesGetTheUsersEnvironmentButNoOtherServers(t *testing.T) {
	user := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "LOG_LEVEL=debug", "LISTEN_HOST=0.0.0.0",
		"DATABASE_URL=postgres://production", "REDIS_URL=redis://production", "REDIS_HOST=production",
		"POSTGRES_PASSWORD_FILE=/secret",
	}
	p, err := New(Options{Dir: testenv.NewFolder(t), Env: Environ(user), Ports: Ports{Redis: 16379, Postgres: 15432}})
	testenv.Must(t, err)
	defer func() { _ = p.Close(context.Background()) }()
	env := p.Vote.Spec.Env
	got := strings.Join(env, "\n")
	for _, want := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "LOG_LEVEL=debug", "REDIS_HOST=127.0.0.1:16379",
		"POSTGRES_PORT=15432", "VOTE_URL=" + p.Vote.URL(""), "CONSUMER_NAME=vote-1",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "production") || strings.Contains(got, "/secret") {
		t.Errorf("another server's address gets through:\n%s", got)
	}
	if strings.Index(got, "LISTEN_HOST=0.0.0.0") < strings.Index(got, "LISTEN_HOST=127.0.0.1") {
		t.Errorf("the user can't choose where services listen:\n%s", got)
	}
}

func TestSeveralQueuesAreServersOfTheirOwnInOneList(t *testing.T) {
	p, err := New(Options{Dir: testenv.NewFolder(t), Queues: 2, Ports: Ports{Redis: 16379}})
	testenv.Must(t, err)
	defer func() { _ = p.Close(context.Background()) }()
	for _, service := range Services {
		if env := p.Service(service).Spec.Env; !slices.Contains(env, "REDIS_HOST=127.0.0.1:16379,127.0.0.1:16380") {
			t.Errorf("%s is not given both: %q", service, env)
		}
	}
	second, err := p.Part("redis2")
	if err != nil || second != p.Redises[1] || second.Name() != "redis2" || p.Redises[0] != p.Redis ||
		p.Redis.Dir == p.Redises[1].Dir || len(p.Queues) != 2 || p.Queues[0] != p.Queue {
		t.Errorf("%v, %v, %+v", second, err, p)
	}
	proxied, err := New(Options{Dir: testenv.NewFolder(t), Queues: 2, Proxies: true})
	testenv.Must(t, err)
	defer func() { _ = proxied.Close(context.Background()) }()
	for _, edge := range []string{"vote-redis", "vote-redis2", "worker-redis2", "result-redis2"} {
		client, server, _ := strings.Cut(edge, "-")
		if address := proxied.Proxies.address(client, server); !strings.Contains(
			strings.Join(proxied.Service(client).Spec.Env, "\n"), address) {
			t.Errorf("%s is not given %s", client, edge)
		}
	}
	if found, err := proxied.Proxies.matching("", Redis); err != nil || len(found) != len(Services) {
		t.Errorf("%d edges to the first, %v", len(found), err)
	}
}

// With proxies every edge can be cut by itself, while this program looks past them.
func TestACutEdgeIsCutForItsServiceAlone(t *testing.T) {
	ctx := t.Context()
	dir := testenv.NewFolder(t)
	bin, err := Programs(ctx, "../..", dir)
	testenv.Must(t, err)
	p, err := Start(ctx, Options{Dir: testenv.NewFolder(t), Bin: bin, Proxies: true, Env: []string{"SHUTDOWN_DELAY=0s"}})
	testenv.Must(t, err)
	defer func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for _, name := range p.Parts() {
			if part, err := p.Part(name); err != nil || part.Running() {
				t.Errorf("%s runs on, %v", name, err)
			}
		}
	}()
	cut := []Toxic{
		{Name: "cut", Type: "timeout", Stream: "upstream"}, {Name: "cut-back", Type: "timeout", Stream: "downstream"},
	}
	testenv.Must(t, p.Proxies.Disturb(Vote, Redis, cut...))
	testenv.Eventually(t, func() error {
		if p.Vote.Ready(ctx) == nil {
			return errors.New("vote says it is ready, cut off from Redis")
		}
		return nil
	})
	if err := errors.Join(p.Worker.Ready(ctx), p.RDB.Ping(ctx).Err()); err != nil {
		t.Errorf("the cut is felt elsewhere: %v", err)
	}
	if err := errors.Join(p.Proxies.Calm(ctx, Vote, Redis, cut...), p.Ready(ctx)); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}
