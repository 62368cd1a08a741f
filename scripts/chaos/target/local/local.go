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

// Target implements target.Target. What it knows of Redis and PostgreSQL, it reads past the proxies.
type Target struct {
	*platform.Platform
	scratch   string
	exhauster *exhauster // nil: no fault has exhausted the connections
	jaeger    string
}

const maxMemory = "256mb" // of Redis

// Start installs what is missing, then builds and starts a platform, and returns when all of it is ready. On an error
// nothing is left running. The naive worker is [NaiveWorker] in this very program.
func Start(ctx context.Context, naive bool, jaeger string, log io.Writer) (*Target, error) {
	root, err := platform.Root(ctx)
	if err != nil {
		return nil, err
	}
	if err := servers.Run(ctx, servers.Spec{Name: "install", Path: "./infra/packages/install",
		Args: []string{"redis", "postgresql"}, Dir: root, Output: log}); err != nil {
		return nil, interrupted(ctx, err)
	}
	scratch, err := servers.NewScratch("petvote-chaos-*")
	if err != nil {
		return nil, err
	}
	t := &Target{scratch: scratch, jaeger: jaeger}
	if err := t.start(ctx, root, naive, log); err != nil {
		return nil, errors.Join(interrupted(ctx, err), os.RemoveAll(scratch))
	}
	return t, nil
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted during the start")
	}
	return err
}

func (t *Target) start(ctx context.Context, root string, naive bool, log io.Writer) error {
	fmt.Fprintln(log, "building the services …")
	bin, err := platform.Programs(ctx, root, filepath.Join(t.scratch, "bin"))
	if err != nil {
		return err
	}
	options := platform.Options{Dir: filepath.Join(t.scratch, "platform"), Bin: bin, Env: platform.Environ(os.Environ()),
		Proxies: true, Live: true, // a service is back when it answers, whatever it still waits for
		Redis: func(c *servers.RedisConfig) { c.MaxMemory = maxMemory }}
	if naive {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		options.Commands = map[string][]string{platform.Worker: {self, NaiveCommand}}
	}
	fmt.Fprintln(log, "starting Redis, PostgreSQL and the services …")
	t.Platform, err = platform.Start(ctx, options)
	return err
}

func (t *Target) Addresses() target.Addresses {
	return target.Addresses{Vote: t.Vote.URL(""), Result: t.Result.URL(""), Jaeger: t.jaeger}
}

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
	if t.exhauster != nil {
		t.exhauster.release()
	}
	return errors.Join(t.Platform.Close(ctx), os.RemoveAll(t.scratch))
}
