//go:build containers

package containertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"petvote/infra/ledger"
)

// goneFor is how long a container stays away that was killed by hand: longer than the CLAIM_IDLE after which another
// worker takes over what a dead one had in hand.
const goneFor = 4 * time.Second

// Every container is killed under load, twice: by the operator, who starts it again later, and by a crash, after which
// the engine does. The others go on, by themselves: none of them ends because one it depends on is gone.
func TestAcceptedVotesCountOnceWhateverIsKilled(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	votes := platform.vote(ctx, t)
	for _, victim := range []string{"worker-1", "vote-1", "result-1", "redis-1", "db-1"} {
		t.Run(victim+" killed, started later", func(t *testing.T) {
			alone(ctx, t, victim, func(c container) {
				if _, err := platform.docker(ctx, "kill", c.ID); err != nil {
					t.Fatal(err)
				}
				time.Sleep(goneFor)
				if _, err := platform.docker(ctx, "start", c.ID); err != nil {
					t.Fatal(err)
				}
			})
		})
		t.Run(victim+" crashes", func(t *testing.T) {
			alone(ctx, t, victim, func(c container) {
				if err := crash(c); errors.Is(err, errNotHere) {
					t.Skip(err)
				} else if err != nil {
					t.Fatal(err)
				}
				eventually(ctx, t, func() error {
					all, err := platform.containers(ctx)
					if err == nil && all[victim].RestartCount != c.RestartCount+1 {
						err = fmt.Errorf("restarted %d times, before %d", all[victim].RestartCount, c.RestartCount)
					}
					return err
				})
			})
		})
	}
	votes.audit(ctx, platform)
}

// While PostgreSQL is unavailable, accepted votes are in Redis alone, some of them in flight at a worker. All three are
// killed.
func TestWhatIsQueuedOutlivesRedisAndTheWorkers(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	votes := platform.vote(ctx, t)
	for _, service := range []string{"db", "redis", "worker"} {
		if _, err := platform.compose(ctx, "kill", service); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
	}
	queued := votes.ledger.Count(ledger.Accepted)
	if _, err := platform.compose(ctx, "start", "redis", "db", "worker"); err != nil {
		t.Fatal(err)
	}
	if queued < votesPerSecond {
		t.Errorf("only %d votes were accepted while PostgreSQL was away", queued)
	}
	votes.audit(ctx, platform)
}

// alone runs kill on a container and waits until it is healthy again; every other must be as it was.
func alone(ctx context.Context, t *testing.T, victim string, kill func(container)) {
	t.Helper()
	before, err := platform.containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	kill(before[victim])
	eventually(ctx, t, func() error {
		after, err := platform.containers(ctx)
		if err != nil {
			return err
		}
		for name, c := range after {
			if b := before[name]; name != victim && (c.State.StartedAt != b.State.StartedAt ||
				c.RestartCount != b.RestartCount || c.State.Status != "running") {
				t.Fatalf("%s was restarted: %+v, %d restarts; before: %+v, %d", name, c.State, c.RestartCount, b.State,
					b.RestartCount)
			}
			if c.State.Health.Status != "healthy" {
				return fmt.Errorf("%s is %s", name, c.State.Health.Status)
			}
		}
		return nil
	})
	t.Logf("all healthy again after %v", time.Since(start).Round(100*time.Millisecond))
}

// errNotHere: this machine does not let a container's process be killed behind the engine's back.
var errNotHere = errors.New("the containers' processes are out of reach, so the restart policy is not tested here " +
	"(needs root, and an engine on this very machine)")

// crash kills the container's first process without the engine's knowledge. Before that it makes sure that the process
// id, which may be one of a virtual machine, is that of the container.
func crash(c container) error {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.State.Pid))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.Contains(string(groups), c.ID) {
		return errNotHere
	}
	if err != nil {
		return err
	}
	if err := syscall.Kill(c.State.Pid, syscall.SIGKILL); errors.Is(err, syscall.EPERM) {
		return errNotHere
	} else if err != nil {
		return fmt.Errorf("kill process %d: %w", c.State.Pid, err)
	}
	return nil
}
