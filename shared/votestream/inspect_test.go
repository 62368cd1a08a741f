package votestream

import (
	"net"
	"strings"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
)

// wantFindings checks which settings are named, with the beginning of their problems.
func (s *stream) wantFindings(t *testing.T, when string, want ...string) {
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
	s.wantFindings(t, "as shipped")
	for _, c := range []struct{ setting, value, mended string }{
		{"appendfsync", "everysec", "always"}, {"appendfsync", "no", "always"},
		{"no-appendfsync-on-rewrite", "yes", "no"},
		{"maxmemory-policy", "allkeys-lru", "noeviction"}, {"maxmemory-policy", "allkeys-random", "noeviction"},
		{"appendonly", "no", "no"},
	} {
		s.rdb.ConfigSet(ctx, c.setting, c.value)
		s.wantFindings(t, c.value, "redis "+c.setting+" it is "+c.value+": ")
		s.rdb.ConfigSet(ctx, c.setting, c.mended)
	}
	// It evicts only keys that expire, and the queue's do not.
	s.rdb.ConfigSet(ctx, "maxmemory-policy", "volatile-lru")
	s.wantFindings(t, "volatile-lru", "redis appendonly")
}

func TestOneRedisUnderTwoNamesIsNamed(t *testing.T) {
	s := newStream(t)
	_, port, _ := net.SplitHostPort(s.rdb.Options().Addr)
	var hosts Hosts
	testenv.Must(t, hosts.UnmarshalText([]byte("127.0.0.1:"+port+",localhost:"+port)))
	for i, rdb := range (Config{Hosts: hosts}).Dial(0) {
		t.Cleanup(func() { _ = rdb.Close() })
		found, err := NewQueue(rdb).Inspect(t.Context())
		if err != nil || len(found) != i || i > 0 && found[0].Setting != "redis-1 address" {
			t.Errorf("queue %d: %+v, %v", i, found, err)
		}
	}
}

func TestARedisThatHidesItsSettingsIsBelieved(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	s.rdb.ConfigSet(ctx, "appendfsync", "no")
	s.rdb.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru")
	s.as(t, "info", "+info +time").wantFindings(t, "info", "redis maxmemory-policy")
	s.as(t, "nothing", "+time").wantFindings(t, "nothing")
	renamed := newStream(t, func(c *servers.RedisConfig) {
		c.Args = []string{"--rename-command", "CONFIG", "", "--appendfsync", "no", "--maxmemory-policy", "allkeys-lru"}
	})
	renamed.wantFindings(t, "without CONFIG", "redis maxmemory-policy")
}

func TestAClockThatDiffersIsNamed(t *testing.T) {
	s, clock := steppedStream(t)
	s.wantFindings(t, "the same time")
	for want, ahead := range map[string]time.Duration{"1m0s": time.Minute, "-1h0m0s": -time.Hour} {
		clock.Step(ahead)
		s.wantFindings(t, ahead.String(), "redis clock it is "+want)
	}
}
