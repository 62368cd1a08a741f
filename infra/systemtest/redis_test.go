package systemtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func withRedis(change func(*servers.RedisConfig)) func(*platform.Options) {
	return func(o *platform.Options) { o.Redis = change }
}

// A Redis in cluster mode, as serverless offers are, refuses commands with keys of several slots.
func TestARedisInClusterModeWorks(t *testing.T) {
	t.Parallel()
	r := newRig(t, withRedis(func(c *servers.RedisConfig) { c.Slots = servers.AllSlots }))
	doomed := r.describe(platform.Worker, "CONSUMER_NAME=doomed", "CRASH_AT=after-read", "CRASH_AFTER=3")
	r.during(100, func() { r.crash(doomed) })
	r.wantOnly(ledger.Accepted)
	r.audit()
	r.must(r.poison())
	if st := r.drained(); st.Dead != 1 || st.DeadNow != 1 {
		t.Errorf("stats %+v, want 1 dead letter", st)
	}
}

// Redis's clock steps back by an hour while a dead worker holds votes.
func TestADeadWorkersVotesAreTakenOverWhateverRedissClockDoes(t *testing.T) {
	t.Parallel()
	clock := testenv.NewClock(t)
	r := newRig(t, withRedis(func(c *servers.RedisConfig) { c.Env = clock.Env() }))
	clock.Step(time.Hour)
	r.must(r.Worker.Stop(t.Context()))
	r.vote(ballot.Dogs)
	r.crash(r.describe(platform.Worker, "CONSUMER_NAME=doomed", "CRASH_AT=after-read"))
	clock.Step(0)
	r.eventually(func() error {
		if age := sum(r.exported(r.Vote), "petvote_stream_oldest_age_seconds"); age <= 1 {
			return fmt.Errorf("a vote waits, and the age of the queue is %v s", age)
		}
		return nil
	})
	r.must(r.Worker.Start(t.Context()))
	r.shows(ballot.Counts{Dogs: 1})
	r.audit()
}

func TestASettingOfRedisThatLosesVotesIsNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, withRedis(func(c *servers.RedisConfig) {
		c.Args = []string{"--appendonly", "no", "--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru"}
	}))
	for _, s := range []*platform.Service{r.Vote, r.Worker} {
		for _, setting := range []string{"redis appendonly", "redis appendfsync", "redis maxmemory-policy"} {
			r.wantFinding(s, setting)
			if n := sum(r.exported(s), fmt.Sprintf("petvote_findings{petvote_setting=%q}", setting)); n != 1 {
				t.Errorf("%s exports %v findings about %s", s.Name(), n, setting)
			}
			if !strings.Contains(s.Log(), setting) {
				t.Errorf("%s does not log %s", s.Name(), setting)
			}
		}
	}
	r.vote(ballot.Cats)
	r.shows(ballot.Counts{Cats: 1})
}

// The shipped start script and users, with passwords of their own.
func TestRedisUsersHaveTheRightsThatTheirServicesNeedAndNoMore(t *testing.T) {
	t.Parallel()
	shipped := filepath.Join(testenv.NewFolder(t), "redis")
	testenv.Must(t, errors.Join(os.CopyFS(shipped, os.DirFS("../redis")), os.Chmod(filepath.Dir(shipped), 0o755)))
	env := os.Environ()
	for _, user := range []string{"vote", "worker", "result", "exporter"} {
		env = append(env, fmt.Sprintf("REDIS_%s_PASSWORD=%s's $word", strings.ToUpper(user), user))
	}
	r := newRig(t, withRedis(func(c *servers.RedisConfig) {
		c.Command, c.Env = []string{"sh", filepath.Join(shipped, "redis.sh"), "start"}, env
	}), func(o *platform.Options) {
		o.Commands = map[string][]string{}
		for _, name := range platform.Services {
			o.Commands[name] = []string{"env", "REDIS_USERNAME=" + name, "REDIS_PASSWORD=" + name + "'s $word",
				filepath.Join(o.Bin, name)}
		}
	})
	stranger := redis.NewClient(&redis.Options{Addr: r.Redis.Addr(), Username: "vote", Password: "result's $word"})
	defer stranger.Close()
	if err := stranger.Ping(t.Context()).Err(); err == nil {
		t.Error("vote's user has result's password")
	}
	r.must(r.RDB.Do(t.Context(), "acl", "log", "reset").Err())

	former := &redis.XAddArgs{Stream: "votes:dead", Values: []any{"nonsense", "1", "reason", "undecodable"}}
	r.must(r.Worker.Stop(t.Context()))
	doomed := r.describe(platform.Worker, "CONSUMER_NAME=doomed", "CRASH_AT=before-ack")
	r.during(50, func() {
		queued := r.vote(ballot.Dogs)
		_ = r.fetch("GET", r.Result.URL("/votes/"+queued.Vote.String()+"?entry="+queued.Entry), "")
		for range 5 { // delivered so often, an entry is retried alone
			r.crash(doomed)
		}
		r.must(r.Worker.Start(t.Context()))
	})
	r.audit()
	r.must(errors.Join(r.poison(), r.RDB.XAdd(t.Context(), former).Err()))
	replayed, err := r.RDB.XAdd(t.Context(), former).Result()
	r.must(errors.Join(err, r.RDB.XDel(t.Context(), former.Stream, replayed).Err()))
	r.bounce(r.Worker, 0)
	r.eventually(func() error {
		if letters, err := r.Queue.ListDeadLetters(t.Context(), "", 10); err != nil || len(letters) != 2 {
			return fmt.Errorf("%d dead letters, %v, want 2", len(letters), err)
		}
		return nil
	})
	for _, args := range [][]string{{"replay", "-all"}, {"list"}} {
		command := exec.Command(doomed.Spec.Path, slices.Concat(doomed.Spec.Args, []string{"dead"}, args)...)
		command.Env = doomed.Spec.Env
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("dead %v: %v\n%s", args, err, out)
		}
	}
	r.drained()
	r.exported(r.Vote)
	port, err := servers.FreePort()
	r.must(err)
	r.observe("redis-exporter", []string{"prometheus-redis-exporter", "redis_exporter"}, port, "/metrics",
		[]string{"--redis.addr=" + r.Redis.URL(), "--redis.user=exporter", "--redis.password=exporter's $word"})
	if metrics := r.page(fmt.Sprintf("http://127.0.0.1:%d/metrics", port)); !strings.Contains(metrics, "\nredis_up 1\n") ||
		!strings.Contains(metrics, "\nredis_aof_enabled 1\n") || !strings.Contains(metrics, "\nredis_memory_max_bytes") {
		t.Errorf("the exporter can't read Redis:\n%s", metrics)
	}

	refused, err := r.RDB.Do(t.Context(), "acl", "log").Slice()
	if len(refused) > 0 || err != nil {
		t.Errorf("refused: %v, %v", refused, err)
	}
	stats, err := r.RDB.Info(t.Context(), "commandstats").Result()
	rights, err2 := os.ReadFile("../redis/users")
	r.must(errors.Join(err, err2))
	// A consumer is forgotten after an hour, and only newer exporters read the histogram.
	rare := []string{"xgroup|delconsumer", "latency|histogram"}
	for _, right := range regexp.MustCompile(`\+[a-z_|]+`).FindAllString(string(rights), -1) {
		if name := right[1:]; !strings.Contains(stats, "cmdstat_"+name+":calls=") && !slices.Contains(rare, name) {
			t.Errorf("nobody needs %s", right)
		}
	}
}
