package compose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"petvote/infra/containers"
	"petvote/infra/platform"
	"petvote/infra/wait"
	"petvote/scripts/chaos/scenario"
	"petvote/scripts/chaos/target"
	"petvote/shared/votestream"
)

const (
	answerAgain = 60 * time.Second // for a restarted part to answer
	dockerLimit = 45 * time.Second // for one docker command on containers: a stop has a grace period of its own
)

// The owner of a database that allows no connections can't connect either, so these run in another database.
const (
	refuseConnections = `\getenv db POSTGRES_DB
alter database :"db" allow_connections false;
select pg_terminate_backend(pid) from pg_stat_activity where datname = :'db' and pid <> pg_backend_pid();`
	allowConnections = `\getenv db POSTGRES_DB
alter database :"db" allow_connections true;`
)

// unplugged is, by the edge of a cut, the part whose containers it takes off the network. Without PostgreSQL, result
// loses it too.
var unplugged = map[string]string{
	platform.Vote + "-" + platform.Redis:      platform.Vote,
	platform.Worker + "-" + platform.Postgres: platform.Postgres,
	scenario.Redis2: scenario.Redis2,
}

// Can excludes what needs a proxy between the containers, or a server more. Off the network, vote would lose all of
// several queues, so only the loss of the one queue there is can be had that way.
func (c *Target) Can(f scenario.Fault) bool {
	if f.Part == platform.Vote+"-"+platform.Redis && len(c.queues) > 1 {
		return false
	}
	return f.Kind != scenario.Failover && (!f.OnNetwork() || f.Kind == scenario.Cut && unplugged[f.Part] != "")
}

func (c *Target) Prepare(context.Context, scenario.Fault) error { return nil }

func (c *Target) Leftovers() []scenario.Fault { return slices.Clone(c.journal.faults) }

// Inject notes the fault, and Redis's memory limit with it, then injects it.
func (c *Target) Inject(ctx context.Context, f scenario.Fault) error {
	if f.Kind == scenario.Memory {
		out, err := c.Redis(ctx, f.Part, "CONFIG", "GET", "maxmemory")
		_, limit, found := strings.Cut(out, "\n")
		if err == nil && !found {
			err = errors.New("CONFIG GET maxmemory returned nothing")
		}
		if f.Arg = limit; err != nil {
			return err
		}
	}
	if err := c.journal.add(f); err != nil {
		return err
	}
	return c.inject(ctx, f)
}

// Undo undoes the fault as it was noted, if it was.
func (c *Target) Undo(ctx context.Context, f scenario.Fault) error {
	f, found := c.journal.find(f)
	if !found {
		return nil
	}
	if err := c.undo(ctx, f); err != nil {
		return err
	}
	return c.journal.remove(f)
}

func (c *Target) inject(ctx context.Context, f scenario.Fault) error {
	whole, cancel := uninterrupted(ctx)
	defer cancel()
	switch f.Kind {
	case scenario.Memory:
		info, err := c.Redis(whole, f.Part, "INFO", "memory")
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(info, "\nused_memory:")
		used, _, _ := strings.Cut(rest, "\r")
		_, err = c.Redis(whole, f.Part, "CONFIG", "SET", "maxmemory", used)
		return err
	case scenario.Connections:
		_, err := c.Query(whole, "postgres", refuseConnections)
		return err
	case scenario.Crawl:
		_, err := c.Query(whole, "", target.Crawl(f.N))
		return err
	case scenario.Cut:
		return c.unplug(whole, unplugged[f.Part])
	}
	list, err := c.Of(ctx, f.Part)
	if err != nil {
		return err
	}
	if list = only(list, func(one containers.Container) bool { return one.State.Running }); len(list) == 0 {
		return fmt.Errorf("no container of %s runs", f.Part)
	}
	crash := func(ctx context.Context, env ...string) error {
		name := "CONSUMER_NAME=" + list[0].Config.Hostname + "-1"
		return c.crash(ctx, list[0], append([]string{name}, env...)...)
	}
	switch f.Kind {
	case scenario.Kill, scenario.Stop, scenario.Pause, scenario.Restart:
		return c.each(ctx, string(f.Kind), list)
	case scenario.Crash:
		if err := c.each(ctx, "stop", list); err != nil {
			return err
		}
		return target.CrashWorkers(ctx, crash, f.Arg)
	case scenario.Lose:
		return target.LoseWorker(ctx, crash, func(ctx context.Context) (holders []string, err error) {
			for _, part := range c.queues {
				out, failed := c.Redis(ctx, part, "XPENDING", votestream.Stream, votestream.Group)
				holders, err = append(holders, strings.Fields(out)...), errors.Join(err, failed)
			}
			return holders, err
		})
	}
	return fmt.Errorf("no fault %q", f.Kind)
}

func (c *Target) undo(ctx context.Context, f scenario.Fault) (err error) {
	switch f.Kind {
	case scenario.Memory:
		_, err = c.Redis(ctx, f.Part, "CONFIG", "SET", "maxmemory", f.Arg)
		return err
	case scenario.Connections:
		_, err = c.Query(ctx, "postgres", allowConnections)
		return err
	case scenario.Crawl:
		_, err = c.Query(ctx, "", target.EndCrawl)
		return err
	case scenario.Cut:
		return c.plug(ctx, unplugged[f.Part])
	case scenario.Lose:
		return containers.Remove(ctx, c.crashing())
	case scenario.Crash:
		if err := containers.Remove(ctx, c.crashing()); err != nil {
			return err
		}
	}
	return wait.Until(ctx, answerAgain, func(ctx context.Context) error {
		if err := c.revive(ctx, f.Part); err != nil {
			return err
		}
		return c.answers(ctx, f.Part)
	})
}

// revive runs a part's containers again that are paused or have ended.
func (c *Target) revive(ctx context.Context, part string) error {
	list, err := c.Of(ctx, part)
	paused := only(list, func(one containers.Container) bool { return one.State.Paused })
	ended := only(list, func(one containers.Container) bool { return !one.State.Running })
	return errors.Join(err, c.each(ctx, "unpause", paused), c.each(ctx, "start", ended))
}

// answers asks a part for the least that shows it is up.
func (c *Target) answers(ctx context.Context, part string) (err error) {
	switch {
	case slices.Contains(c.queues, part):
		_, err = c.Redis(ctx, part, "PING")
	case part == platform.Postgres:
		_, err = c.Query(ctx, "postgres", "select 1")
	default:
		_, err = c.Health(ctx, part)
	}
	return err
}

// uninterrupted is for commands that docker carries out to the end once they are given, whether or not anybody waits:
// only what has ended can be undone.
func uninterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), dockerLimit)
}

// each runs one docker command on all containers of a list.
func (c *Target) each(ctx context.Context, command string, list []containers.Container) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := uninterrupted(ctx)
	defer cancel()
	args := []string{command}
	for _, one := range list {
		args = append(args, one.ID)
	}
	_, err := containers.Docker(ctx, args...)
	return err
}

// backend is the network on which the platform's parts meet.
func (c *Target) backend() string { return string(c.Project) + "_backend" }

func (c *Target) unplug(ctx context.Context, part string) error {
	list, err := c.Of(ctx, part)
	for _, one := range list {
		if err == nil {
			_, err = containers.Docker(ctx, "network", "disconnect", c.backend(), one.ID)
		}
	}
	return err
}

func (c *Target) plug(ctx context.Context, part string) error {
	list, err := c.Of(ctx, part)
	for _, one := range list {
		if _, plugged := one.NetworkSettings.Networks[c.backend()]; err == nil && !plugged {
			alias := one.Config.Labels[containers.LabelService]
			_, err = containers.Docker(ctx, "network", "connect", "--alias", alias, c.backend(), one.ID)
		}
	}
	return err
}

// crashing is the name of the container of a worker that crashes.
func (c *Target) crashing() string { return string(c.Project) + "-chaos-worker" }

// crash runs a worker like an existing one until fault injection ends it. The values of its environment stay out of
// the process list.
func (c *Target) crash(ctx context.Context, like containers.Container, env ...string) error {
	if err := containers.Remove(ctx, c.crashing()); err != nil {
		return err
	}
	env = slices.DeleteFunc(append(slices.Clone(like.Config.Env), env...), func(variable string) bool {
		return strings.HasPrefix(variable, "PATH=") || strings.HasPrefix(variable, "HOME=") // docker needs its own
	})
	args := []string{"run", "--rm", "--name", c.crashing(), "--network", c.backend(), "--volumes-from", like.ID,
		"--read-only", "--cap-drop", "ALL"}
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		args = append(args, "--env", name)
	}
	_, err := containers.DockerWith(ctx, env, "", append(args, like.Image)...)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return errors.New("a worker ended without the crash")
	case strings.Contains(err.Error(), target.CrashStatus):
		return nil
	}
	return err
}
