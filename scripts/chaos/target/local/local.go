// Package local is a platform of the run's own, as processes on free ports, with a proxy on every edge. It goes with
// the run.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/scripts/chaos/record"
	"petvote/scripts/chaos/target"
)

// Target implements target.Target. It reads Redis and PostgreSQL past the proxies.
type Target struct {
	*platform.Platform
	scratch string
	release func() // gives back the connections that a fault has taken; nil: none has
	jaeger  string
	standby *servers.Postgres // of the failover that is prepared
	replica *servers.Redis    // the same
}

const maxMemory = "256mb" // of Redis

// Start installs missing servers, then builds and starts a platform, and returns when all of it is ready. On an error
// nothing is left running. The naive worker is [NaiveWorker] in this very program.
func Start(ctx context.Context, queues int, naive bool, jaeger string, log io.Writer) (_ *Target, err error) {
	root, err := platform.Root(ctx)
	if err != nil {
		return nil, err
	}
	if err := platform.Install(ctx, root, log); err != nil {
		return nil, err
	}
	scratch, err := servers.NewScratch("petvote-chaos-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(scratch))
		}
	}()
	fmt.Fprintln(log, "building the services …")
	bin, err := platform.Programs(ctx, root, filepath.Join(scratch, "bin"))
	if err != nil {
		return nil, err
	}
	options := platform.Options{Dir: filepath.Join(scratch, "platform"), Bin: bin, Env: platform.Environ(os.Environ()),
		Queues: queues, Proxies: true, Live: true, // a service is back when it answers, whatever it still waits for
		Redis: func(c *servers.RedisConfig) { c.MaxMemory = maxMemory }}
	if naive {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		options.Commands = map[string][]string{platform.Worker: {self, NaiveCommand}}
	}
	fmt.Fprintln(log, "starting Redis, PostgreSQL and the services …")
	p, err := platform.Start(ctx, options)
	return &Target{Platform: p, scratch: scratch, jaeger: jaeger}, err
}

func (t *Target) Addresses() target.Addresses {
	return target.Addresses{Vote: t.Vote.URL(""), Result: t.Result.URL(""), Jaeger: t.jaeger}
}

func (t *Target) Queues() int { return len(t.Redises) }

func (t *Target) Sampling() time.Duration { return record.Timestep }

func (t *Target) Health(ctx context.Context, name string) (h target.Health, err error) {
	if err = platform.Get(ctx, t.Service(name).OpsURL("/readyz"), &h); h.Status != "" {
		err = nil // whatever the status is
	}
	return h, err
}

func (t *Target) Lives(context.Context) (map[string]string, error) {
	lives := make(map[string]string, len(platform.Services))
	for _, name := range platform.Services {
		lives[name] = "gone"
		if s := t.Service(name); s.Running() {
			lives[name] = strconv.Itoa(s.PID())
		}
	}
	return lives, nil
}

func (t *Target) Close(ctx context.Context) error {
	if t.release != nil {
		t.release()
	}
	return errors.Join(t.Platform.Close(ctx), os.RemoveAll(t.scratch))
}
