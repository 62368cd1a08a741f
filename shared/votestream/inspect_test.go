package votestream

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// wantWeak checks which settings are named, with the beginning of their problems.
func (s *stream) wantWeak(t *testing.T, when string, want ...string) {
	t.Helper()
	found, err := s.Inspect(t.Context())
	wrong := err != nil || len(found) != len(want)
	for i := 0; i < len(want) && !wrong; i++ {
		wrong = !strings.HasPrefix(found[i].Setting+" "+found[i].Problem, want[i])
	}
	if wrong {
		t.Errorf("%s: %+v, %v, want %q", when, found, err, want)
	}
}

func TestSettingsThatLoseAcceptedVotesAreNamed(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	s.wantWeak(t, "as shipped")
	for _, c := range []struct{ setting, value, mended string }{
		{"appendfsync", "everysec", "always"}, {"appendfsync", "no", "always"},
		{"no-appendfsync-on-rewrite", "yes", "no"},
		{"maxmemory-policy", "allkeys-lru", "noeviction"}, {"maxmemory-policy", "allkeys-random", "noeviction"},
		{"appendonly", "no", "no"},
	} {
		s.rdb.ConfigSet(ctx, c.setting, c.value)
		s.wantWeak(t, c.value, "redis "+c.setting+" it is "+c.value+": ")
		s.rdb.ConfigSet(ctx, c.setting, c.mended)
	}
	// It evicts only keys that expire, and the queue's do not.
	s.rdb.ConfigSet(ctx, "maxmemory-policy", "volatile-lru")
	s.wantWeak(t, "volatile-lru", "redis appendonly")
}

func TestARedisThatHidesItsSettingsIsBelieved(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	s.rdb.ConfigSet(ctx, "appendfsync", "no")
	s.rdb.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru")
	for user, c := range map[string]struct {
		rights string
		want   []string
	}{
		"info":    {"+info +time", []string{"redis maxmemory-policy"}},
		"nothing": {"+time", nil},
	} {
		rule := append([]any{"acl", "setuser", user, "on", "nopass"}, toAny(strings.Fields(c.rights))...)
		testenv.Must(t, s.rdb.Do(ctx, rule...).Err())
		rdb := redis.NewClient(&redis.Options{Addr: s.server.Addr(), Username: user, Password: "any", DisableIdentity: true})
		defer rdb.Close()
		limited := stream{Queue: NewQueue(rdb)}
		limited.wantWeak(t, user, c.want...)
	}
	renamed := newStream(t, func(c *servers.RedisConfig) {
		c.Args = []string{"--rename-command", "CONFIG", "", "--appendfsync", "no", "--maxmemory-policy", "allkeys-lru"}
	})
	renamed.wantWeak(t, "without CONFIG", "redis maxmemory-policy")
}

func toAny(list []string) (all []any) {
	for _, one := range list {
		all = append(all, one)
	}
	return all
}

func TestAClockThatDiffersIsNamed(t *testing.T) {
	clock := testenv.NewClock(t)
	s := newStream(t, func(c *servers.RedisConfig) { c.Env = clock.Env() })
	s.wantWeak(t, "the same time")
	for want, ahead := range map[string]time.Duration{"1m0s": time.Minute, "-1h0m0s": -time.Hour} {
		clock.Step(ahead)
		s.wantWeak(t, ahead.String(), "redis clock it is "+want)
	}
}
