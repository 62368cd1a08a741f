package systemtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"petvote/infra/voters"
	"petvote/shared/ballot"
)

func TestViewersThatStopReadingHoldUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.shows(ballot.Counts{})
	watching, leave := context.WithCancel(context.Background())
	var watchers []*voters.Viewer
	t.Cleanup(func() {
		leave()
		for _, w := range watchers {
			w.Wait()
		}
	})
	for _, follow := range []voters.Transport{voters.SSE, voters.SocketIO} {
		for range 25 {
			watchers = append(watchers, voters.NewViewer(watching, r.Result.URL(""), follow, r.ledger.Began))
		}
		for range 20 { // of these each reads the first push, and no more
			go func() { _ = follow(watching, r.Result.URL(""), func(ballot.Counts) { <-watching.Done() }) }()
		}
	}
	resting := r.pollSocket() // polls again at the end
	r.viewers("sse", 45)
	r.viewers("socket.io", 45)

	var want ballot.Counts
	const votes = 15
	round := func() []series {
		for range votes {
			r.vote(ballot.Dogs)
			want.Dogs++
			r.eventually(func() error { // so that each vote has a push of its own
				for _, w := range watchers {
					if c, _ := w.Shown(t.Context()); c != want {
						return fmt.Errorf("a viewer is shown %+v, want %+v", c, want)
					}
				}
				return nil
			})
		}
		return r.exported(r.Result)
	}
	before := round() // fills what each connection buffers
	var after []series
	for range 3 {
		after = round()
	}
	grown := func(metric string) float64 { return sum(after, metric) - sum(before, metric) }
	pushes := grown("petvote_pushes_total")
	if got := resting.poll(); strings.Count(got, "current_votes") != 1 ||
		!strings.Contains(got, fmt.Sprintf(`"dogs":%d,`, want.Dogs)) {
		t.Errorf("a viewer that polls again after %v pushes gets %q, want the newest, %+v", pushes, got, want)
	}
	// A goroutine or a frame kept for each push to a stalled viewer would make some hundreds. The test beside the
	// service's code checks the memory.
	if grown("go_goroutine_count") > pushes {
		t.Errorf("%v goroutines more", grown("go_goroutine_count"))
	}
	r.sendNonsense()
	r.must(r.Result.Stop(t.Context())) // it is killed, which is an error, if it waits for its viewers
	if err := r.Result.Err(); err != nil {
		t.Errorf("result ended with %v", err)
	}
}
