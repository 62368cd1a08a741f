package votestream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/shared/config"
)

// maxClockSkew is how far Redis's clock may be from this machine's. NTP keeps both far closer.
const maxClockSkew = time.Second

// Inspect looks for settings under which accepted votes can be lost, and for a clock that differs. A Redis that does
// not show a setting, as managed ones may, counts as well set; that is logged once.
func (q *Queue) Inspect(ctx context.Context) (found []config.Finding, err error) {
	settings, err := q.settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read redis's settings: %w", err)
	}
	add := func(bad bool, setting, problem string) {
		if bad {
			found = append(found, config.Finding{Setting: q.rdb.name + " " + setting, Problem: "it is " + problem})
		}
	}
	add(settings["appendonly"] == "no", "appendonly", "no: every queued vote is lost when Redis restarts")
	add(settings["appendfsync"] == "everysec", "appendfsync",
		"everysec: the last second's accepted votes are lost when the machine crashes")
	add(settings["appendfsync"] == "no", "appendfsync",
		"no: the accepted votes of half a minute are lost when the machine crashes")
	add(settings["no-appendfsync-on-rewrite"] == "yes", "no-appendfsync-on-rewrite",
		"yes: the votes accepted while the append-only file is rewritten can be lost when the machine crashes")
	policy := settings["maxmemory-policy"] // volatile-… evicts only keys that expire, which the queue's do not
	add(strings.HasPrefix(policy, "allkeys-"), "maxmemory-policy", policy+": queued votes are deleted when memory is full")
	if id := settings["run_id"]; id != "" && q.rdb.servers != nil {
		id += fmt.Sprint("/", q.rdb.Options().DB)
		q.rdb.servers.Store(q.rdb.name, id)
		q.rdb.servers.Range(func(other, otherID any) bool {
			add(other != q.rdb.name && otherID == id, "address",
				fmt.Sprintf("the same Redis as %v: both are one queue, and the books count its votes twice", other))
			return true
		})
	}

	start := time.Now()
	clock, err := q.rdb.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("read redis's clock: %w", err)
	}
	end := time.Now()
	d := ahead(clock, start, end)
	add(d.Abs() > maxClockSkew+end.Sub(start)/2, "clock",
		fmt.Sprintf("%v ahead of this machine's (negative: behind), and so are the times of votes",
			d.Round(100*time.Millisecond)))
	return found, nil
}

// settings returns those of Redis's settings that it shows.
func (q *Queue) settings(ctx context.Context) (map[string]string, error) {
	known := map[string]string{}
	info, err := q.rdb.Info(ctx).Result()
	if err != nil && !withheld(err) {
		return nil, err
	}
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "aof_enabled":
			known["appendonly"] = map[string]string{"0": "no", "1": "yes"}[value]
		case "maxmemory_policy":
			known["maxmemory-policy"] = value
		case "run_id":
			known[name] = value
		}
	}
	names := []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy"}
	for _, name := range names {
		values, err := q.rdb.ConfigGet(ctx, name).Result()
		switch {
		case err != nil && !withheld(err):
			return nil, err
		case values[name] != "":
			known[name] = values[name]
		}
	}
	if slices.ContainsFunc(names, func(name string) bool { return known[name] == "" }) {
		q.logUnknown.Do(func() {
			slog.InfoContext(ctx, "redis does not show all settings that the promises rest on; unknown ones count as right",
				"known", known)
		})
	}
	return known, nil
}

// withheld reports that Redis does not let this client know: the user has no right to, or the command does not exist.
func withheld(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && (redis.HasErrorPrefix(err, "NOPERM") || strings.Contains(err.Error(), "unknown"))
}
