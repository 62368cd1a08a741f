package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"petvote/shared/votestream"
)

// answerAgain bounds the wait for a part that was started again.
const answerAgain = 60 * time.Second

func (c *composeTarget) can(f fault) bool {
	switch f.Kind {
	case slow, jitter, reset, linger, trickle:
		return false
	case cut:
		return f.Part == vote+"-"+redis || f.Part == worker+"-"+postgres
	}
	return true
}

// unplugged is the part whose containers are taken off the network for a cut. Where PostgreSQL is, result loses it too.
func unplugged(f fault) string {
	if f.Part == vote+"-"+redis {
		return vote
	}
	return postgres
}

// prepare notes how much memory Redis was allowed.
func (c *composeTarget) prepare(ctx context.Context, f fault) (fault, error) {
	if f.Kind != memory {
		return f, nil
	}
	var err error
	f.Arg, err = c.setting(ctx, "maxmemory")
	return f, err
}

func (c *composeTarget) inflict(ctx context.Context, f fault) error {
	whole, cancel := toItsEnd(ctx)
	defer cancel()
	switch f.Kind {
	case memory:
		return c.fillMemory(whole)
	case connects:
		return c.sql(whole, "postgres", refuseConnections)
	case cut:
		return c.unplug(whole, unplugged(f))
	}
	list, err := c.of(ctx, f.Part)
	if err != nil {
		return err
	}
	if list = only(list, func(one container) bool { return one.State.Running }); len(list) == 0 {
		return fmt.Errorf("no container of %s runs", f.Part)
	}
	switch f.Kind {
	case kill, stop, pause, restart:
		return c.each(ctx, string(f.Kind), list)
	case crash:
		if err := c.each(ctx, "stop", list); err != nil {
			return err
		}
		for range workersThatCrash {
			if err := c.dies(ctx, list[0], "CRASH_AT="+f.Arg, "CRASH_AFTER=3", "CONSUMER_NAME="+list[0].Config.Hostname+"-1"); err != nil {
				return err
			}
		}
		return nil
	case lose:
		if err := c.dies(ctx, list[0], "CRASH_AT=after-read", "CRASH_AFTER=5", "CONSUMER_NAME="+lostWorker); err != nil {
			return err
		}
		return takenOver(ctx, func(ctx context.Context) ([]string, error) {
			out, err := c.redis(ctx, "XPENDING", votestream.Stream, votestream.Group)
			return strings.Fields(out), err
		})
	}
	return fmt.Errorf("no fault %q", f.Kind)
}

func (c *composeTarget) heal(ctx context.Context, f fault) error {
	switch f.Kind {
	case memory:
		_, err := c.redis(ctx, "CONFIG", "SET", "maxmemory", f.Arg)
		return err
	case connects:
		return c.sql(ctx, "postgres", allowConnections)
	case cut:
		return c.plug(ctx, unplugged(f))
	case lose:
		return c.removeDoomed(ctx)
	case crash:
		if err := c.removeDoomed(ctx); err != nil {
			return err
		}
	}
	return eventually(ctx, answerAgain, func(ctx context.Context) error {
		if err := c.revive(ctx, f.Part); err != nil {
			return err
		}
		return c.answers(ctx, f.Part)
	})
}

// revive lets a part's containers run that are frozen or have ended.
func (c *composeTarget) revive(ctx context.Context, part string) error {
	list, err := c.of(ctx, part)
	if err != nil {
		return err
	}
	for command, needs := range map[string]func(container) bool{
		"unpause": func(one container) bool { return one.State.Paused },
		"start":   func(one container) bool { return !one.State.Running },
	} {
		if these := only(list, needs); len(these) > 0 {
			if err := c.each(ctx, command, these); err != nil {
				return err
			}
		}
	}
	return nil
}

func only(list []container, which func(container) bool) []container {
	return slices.DeleteFunc(slices.Clone(list), func(one container) bool { return !which(one) })
}

// answers asks a part for the least that shows it is there.
func (c *composeTarget) answers(ctx context.Context, part string) error {
	switch part {
	case vote:
		return c.alive(ctx, c.at.vote)
	case result:
		return c.alive(ctx, c.at.result)
	case redis:
		_, err := c.redis(ctx, "PING")
		return err
	case postgres:
		return c.sql(ctx, "postgres", "select 1")
	}
	list, err := c.of(ctx, part)
	if err == nil && !list[0].State.Running {
		err = fmt.Errorf("%s does not run", part)
	}
	return err
}

// dockerLimit is how long docker may take for one command on containers: a stop has a grace period of its own.
const dockerLimit = 45 * time.Second

// toItsEnd is for what docker does once it was asked for it, whether somebody waits or not. Only what has ended can be undone.
func toItsEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), dockerLimit)
}

// each runs one docker command on all containers of a list.
func (c *composeTarget) each(ctx context.Context, command string, list []container) error {
	ctx, cancel := toItsEnd(ctx)
	defer cancel()
	args := []string{command}
	for _, one := range list {
		args = append(args, one.ID)
	}
	_, err := c.docker(ctx, nil, args...)
	return err
}

// backend is the network on which the platform's parts meet.
func (c *composeTarget) backend() string { return c.project + "_backend" }

func (c *composeTarget) unplug(ctx context.Context, part string) error {
	list, err := c.of(ctx, part)
	if err != nil {
		return err
	}
	for _, one := range list {
		if _, err := c.docker(ctx, nil, "network", "disconnect", c.backend(), one.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *composeTarget) plug(ctx context.Context, part string) error {
	list, err := c.of(ctx, part)
	if err != nil {
		return err
	}
	for _, one := range list {
		if _, plugged := one.NetworkSettings.Networks[c.backend()]; plugged {
			continue
		}
		if _, err := c.docker(ctx, nil, "network", "connect", "--alias", composeService(part), c.backend(), one.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *composeTarget) fillMemory(ctx context.Context) error {
	info, err := c.redis(ctx, "INFO", "memory")
	if err != nil {
		return err
	}
	used, err := usedMemory(info)
	if err != nil {
		return err
	}
	_, err = c.redis(ctx, "CONFIG", "SET", "maxmemory", used)
	return err
}

// doomed is the name of the container of a worker that is told to crash.
func (c *composeTarget) doomed() string { return c.project + "-chaos-worker" }

// dies runs a worker like an existing one, until it has crashed as told. The values of its environment stay out of the list of
// processes.
func (c *composeTarget) dies(ctx context.Context, like container, env ...string) error {
	if err := c.removeDoomed(ctx); err != nil {
		return err
	}
	env = append(slices.Clone(like.Config.Env), env...)
	args := []string{"run", "--rm", "--name", c.doomed(), "--label", labelChaos + "=" + c.project, "--network", c.backend(), "--volumes-from", like.ID, "--read-only", "--cap-drop", "ALL"}
	for _, variable := range env {
		if name, _, _ := strings.Cut(variable, "="); name != "PATH" && name != "HOME" { // docker needs its own
			args = append(args, "--env", name)
		}
	}
	env = slices.DeleteFunc(env, func(variable string) bool {
		return strings.HasPrefix(variable, "PATH=") || strings.HasPrefix(variable, "HOME=")
	})
	bounded, cancel := context.WithTimeout(ctx, crashLimit)
	defer cancel()
	_, err := c.dockerWith(bounded, env, nil, append(args, like.Image)...)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return fmt.Errorf("a worker that was told to crash has not after %v", crashLimit)
	case err == nil:
		return errors.New("a worker that was told to crash has ended otherwise")
	case strings.Contains(err.Error(), crashStatus):
		return nil
	}
	return err
}

func (c *composeTarget) removeDoomed(ctx context.Context) error {
	out, err := c.docker(ctx, nil, "ps", "--all", "--quiet", "--filter", "label="+labelChaos+"="+c.project)
	if id := strings.TrimSpace(out); err == nil && id != "" {
		_, err = c.docker(ctx, nil, "rm", "--force", id)
	}
	return err
}
