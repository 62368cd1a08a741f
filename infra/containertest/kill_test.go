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

	"petvote/infra/containers"
	"petvote/infra/ledger"
	"petvote/infra/testenv"
)

// goneFor is how long a container that was killed by hand stays down: longer than CLAIM_IDLE, after which another
// worker claims a dead one's entries.
const goneFor = 4 * time.Second

// Every container is killed under load, twice: by the operator, who starts it again later, and by a crash, after which
// the engine does. The others go on, by themselves: none of them ends because one it depends on is gone.
func TestAcceptedVotesCountOnceWhateverIsKilled(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	votes := platform.vote(ctx, t)
	for _, victim := range []string{"worker-1", "vote-1", "result-1", "redis-1", "db-1"} {
		t.Run(victim+" killed, started later", func(t *testing.T) {
			alone(ctx, t, victim, func(c containers.Container) {
				docker(ctx, t, "kill", c.ID)
				time.Sleep(goneFor)
				docker(ctx, t, "start", c.ID)
			})
		})
		t.Run(victim+" crashes", func(t *testing.T) {
			alone(ctx, t, victim, func(c containers.Container) {
				err := crash(c)
				if errors.Is(err, errNotHere) {
					t.Skip(err)
				}
				testenv.Must(t, err)
				eventually(ctx, t, func() error {
					if n := inspect(ctx, t)[victim].RestartCount; n != c.RestartCount+1 {
						return fmt.Errorf("restarted %d times, before %d", n, c.RestartCount)
					}
					return nil
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
		docker(ctx, t, platform.compose("kill", service)...)
		time.Sleep(2 * time.Second)
	}
	queued := votes.ledger.Count(ledger.Accepted)
	docker(ctx, t, platform.compose("start", "redis", "db", "worker")...)
	if queued < votesPerSecond {
		t.Errorf("only %d votes were accepted while PostgreSQL was unavailable", queued)
	}
	votes.audit(ctx, platform)
}

// alone runs kill on a container and waits until it is healthy again; every other must be as it was.
func alone(ctx context.Context, t *testing.T, victim string, kill func(containers.Container)) {
	t.Helper()
	before := inspect(ctx, t)
	start := time.Now()
	kill(before[victim])
	allHealthy(ctx, t)
	for name, c := range inspect(ctx, t) {
		if b := before[name]; name != victim && (c.State.StartedAt != b.State.StartedAt ||
			c.RestartCount != b.RestartCount || c.State.Status != b.State.Status) {
			t.Fatalf("%s was restarted: %+v, %d restarts; before: %+v, %d", name, c.State, c.RestartCount, b.State,
				b.RestartCount)
		}
	}
	t.Logf("all healthy again after %v", time.Since(start).Round(100*time.Millisecond))
}

// errNotHere: this machine does not let a container's process be killed behind the engine's back.
var errNotHere = errors.New("the containers' processes are out of reach, so the restart policy is not tested here " +
	"(needs root, and an engine on this very machine)")

// crash kills the container's first process without the engine's knowledge. Before that it makes sure that the process
// id, which may be one of a virtual machine, is that of the container.
func crash(c containers.Container) error {
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
