package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"petvote/infra/servers"
	"petvote/shared/votestream"
)

func (t *localTarget) can(fault) bool { return true }

func (t *localTarget) prepare(_ context.Context, f fault) (fault, error) { return f, nil }

// process is a part's, for faults of processes.
func (t *localTarget) process(part string) (interface {
	Start(context.Context) error
	Stop(context.Context) error
	Kill() error
	Pause() error
	Resume() error
	Running() bool
}, error) {
	switch part {
	case redis:
		return t.redis, nil
	case postgres:
		return t.postgres, nil
	}
	if p := t.programs[part]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no part %q", part)
}

func (t *localTarget) inflict(ctx context.Context, f fault) error {
	switch f.Kind {
	case memory:
		return t.fillMemory(ctx)
	case connects:
		t.hog = newHog(t.postgres.URL())
		return nil
	case crash:
		return t.crashWorkers(ctx, f.Arg)
	case lose:
		return t.loseWorker(ctx)
	case cut, slow, jitter, reset, linger, trickle:
		return t.proxies.disturb(f)
	}
	p, err := t.process(f.Part)
	if err != nil {
		return err
	}
	switch f.Kind {
	case kill:
		return p.Kill()
	case pause:
		return p.Pause()
	case stop:
		return p.Stop(ctx)
	case restart:
		return errors.Join(p.Stop(ctx), p.Start(ctx))
	}
	return fmt.Errorf("no fault %q", f.Kind)
}

func (t *localTarget) heal(ctx context.Context, f fault) error {
	switch f.Kind {
	case memory:
		return t.rdb.ConfigSet(ctx, "maxmemory", t.maxMemory).Err()
	case connects:
		if t.hog != nil {
			t.hog.release()
			t.hog = nil
		}
		return nil
	case cut, slow, jitter, reset, linger, trickle:
		return t.proxies.calm(ctx, f)
	case lose:
		return nil
	}
	p, err := t.process(f.Part)
	switch {
	case err != nil:
		return err
	case f.Kind == pause:
		return p.Resume()
	case p.Running():
		return nil
	}
	return p.Start(ctx)
}

// fillMemory leaves Redis what it has now, and no more.
func (t *localTarget) fillMemory(ctx context.Context) error {
	info, err := t.rdb.Info(ctx, "memory").Result()
	if err != nil {
		return err
	}
	used, err := usedMemory(info)
	if err != nil {
		return err
	}
	return t.rdb.ConfigSet(ctx, "maxmemory", used).Err()
}

// usedMemory finds the number of bytes that Redis uses in what INFO memory tells.
func usedMemory(info string) (string, error) {
	for line := range strings.Lines(info) {
		if used, found := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); found {
			return used, nil
		}
	}
	return "", errors.New("no used_memory in what Redis tells of its memory")
}

// workersThatCrash is how many die one after the other, each taking up what the one before had left.
const workersThatCrash = 3

// crashLimit is how long such a worker may take to come to its end.
const crashLimit = 20 * time.Second

func (t *localTarget) crashWorkers(ctx context.Context, point string) error {
	regular := t.programs[worker]
	if err := regular.Stop(ctx); err != nil {
		return err
	}
	for range workersThatCrash {
		if err := t.dies(ctx, regular.spec, "CRASH_AT="+point, "CRASH_AFTER=3"); err != nil {
			return err
		}
	}
	return nil
}

// lostWorker is the consumer name of the worker that is lost.
const lostWorker = "lost"

// errNotTakenOver refutes the hypothesis of a lost worker.
var errNotTakenOver = errors.New("nobody has taken over what the lost worker had in hand")

// takenOver waits until the worker that was lost, and must have had votes in hand, is no longer among those who have.
func takenOver(ctx context.Context, holders func(context.Context) ([]string, error)) error {
	seen := false
	err := eventually(ctx, takeover, func(ctx context.Context) error {
		names, err := holders(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, lostWorker+"-") }) {
			seen = true
			return errNotTakenOver
		}
		return nil
	})
	if err == nil && !seen {
		return errors.New("the worker that was to be lost had no votes in hand")
	}
	return err
}

// loseWorker starts a second worker that dies with votes in hand, and stays dead.
func (t *localTarget) loseWorker(ctx context.Context) error {
	ops, err := servers.FreePort()
	if err != nil {
		return err
	}
	second := t.programs[worker].spec
	second.Ready = nil
	if err := t.dies(ctx, second, "CONSUMER_NAME="+lostWorker, "OPS_PORT="+strconv.Itoa(ops), "CRASH_AT=after-read", "CRASH_AFTER=5"); err != nil {
		return err
	}
	return takenOver(ctx, func(ctx context.Context) ([]string, error) {
		pending, err := t.rdb.XPending(ctx, votestream.Stream, votestream.Group).Result()
		if err != nil {
			return nil, err
		}
		return slices.Collect(maps.Keys(pending.Consumers)), nil
	})
}

// crashStatus is how the end of a worker that crashed as it was told is put into words.
const crashStatus = "exit status 137"

// dies starts a worker that is told to crash, and waits until it has.
func (t *localTarget) dies(ctx context.Context, spec servers.Spec, env ...string) error {
	spec.Env = append(spec.Env[:len(spec.Env):len(spec.Env)], env...)
	doomed := servers.NewProcess(spec)
	var early *servers.EarlyExit
	if err := doomed.Start(ctx); err != nil && !errors.As(err, &early) {
		return err
	}
	select {
	case <-doomed.Done():
		if err := doomed.Err(); err == nil || err.Error() != crashStatus {
			return fmt.Errorf("a worker that was told to crash has ended otherwise: %w\n%s", err, doomed.Log())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), doomed.Kill())
	case <-time.After(crashLimit):
	}
	return errors.Join(fmt.Errorf("a worker that was told to crash has not after %v", crashLimit), doomed.Kill())
}
