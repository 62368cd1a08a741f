package servers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

func redisClient(t *testing.T, server *servers.Redis) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	testenv.Must(t, err)
	options.MaxRetries = -1
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestRedisKeepsWhatItAcceptedWhenKilled(t *testing.T) {
	ctx := t.Context()
	server := testenv.NewRedis(t)
	testenv.Must(t, redisClient(t, server).Set(ctx, "pet", "dogs", 0).Err())
	addr, first := server.Addr(), server.PID()
	testenv.Must(t, server.Kill())
	if server.Running() || server.Err() == nil || server.Err().Error() != "signal: killed" {
		t.Fatalf("after Kill: running %v, err %v", server.Running(), server.Err())
	}
	if err := redisClient(t, server).Ping(ctx).Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	testenv.Must(t, server.Start(ctx))
	if server.Addr() != addr || server.PID() == first {
		t.Errorf("started again at %s as process %d, was %s and %d", server.Addr(), server.PID(), addr, first)
	}
	if got, err := redisClient(t, server).Get(ctx, "pet").Result(); err != nil || got != "dogs" {
		t.Errorf("after the new start: %q, %v", got, err)
	}
}

func TestRedisRunsWithTheSettingsThePromiseNeeds(t *testing.T) {
	server := testenv.NewRedis(t, func(c *servers.RedisConfig) { c.MaxMemory = "5mb" })
	client := redisClient(t, server)
	for name, want := range map[string]string{
		"appendonly": "yes", "appendfsync": "always", "save": "", "bind": "127.0.0.1",
		"maxmemory": "5242880", "maxmemory-policy": "noeviction",
	} {
		got, err := client.ConfigGet(t.Context(), name).Result()
		if err != nil || got[name] != want {
			t.Errorf("%s is %q (%v), want %q", name, got[name], err, want)
		}
	}
}

func TestStartOnATakenPortIsAnError(t *testing.T) {
	first := testenv.NewRedis(t)
	second, err := servers.NewRedis(servers.RedisConfig{Dir: testenv.NewFolder(t), Port: first.Port})
	testenv.Must(t, err)
	err = second.Start(t.Context())
	var early *servers.EarlyExit
	if !errors.As(err, &early) || !strings.Contains(early.Output, "Address already in use") {
		t.Errorf("start on a taken port: %v", err)
	}
	if second.Running() {
		t.Error("it is running all the same")
	}
}
