//go:build containers

package containertest

import (
	"strings"
	"testing"
	"time"
)

func TestAStopIsCleanAndForgetsNothing(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	votes := platform.vote(ctx, t)
	time.Sleep(2 * time.Second)
	docker(ctx, t, platform.compose("stop")...)
	for name, c := range inspect(ctx, t) {
		want := 0
		if strings.HasPrefix(name, "postgres-exporter") {
			want = 2 // Go's status for a process that handles no signals. It has nothing to forget.
		}
		if c.State.ExitCode != want || c.State.OOMKilled {
			t.Errorf("%s ended with %d, not %d (out of memory: %v)", name, c.State.ExitCode, want, c.State.OOMKilled)
		}
	}
	docker(ctx, t, platform.compose("start")...)
	eventually(ctx, t, func() error { return fetch(ctx, platform.results+"/readyz", &struct{}{}) })
	votes.audit(ctx, platform)
}
