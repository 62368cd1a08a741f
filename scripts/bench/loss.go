package main

import (
	"context"
	"errors"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/voters"
	"petvote/infra/wait"
)

// measureLoss breaks the second of two Redis, in one way after the other, for two thirds of the time in which votes
// come in, and counts those that are not accepted at once.
func measureLoss(ctx context.Context, t *target) (figures []figure) {
	const rate = 300
	sixth := fullOrQuick(t.bench, 5*time.Second, time.Second)
	lost, name, cut := t.Redises[1], platform.Queue(1), platform.Toxic{Name: "cut", Type: "timeout", Stream: "downstream"}
	memory := func(most string) func() error {
		return func() error { return t.RDBs[1].ConfigSet(ctx, "maxmemory", most).Err() }
	}
	for _, fault := range []struct {
		name       string
		begin, end func() error
	}{
		{"killed", lost.Kill, func() error { return lost.Start(ctx) }},
		{"hung", lost.Pause, lost.Resume},
		{"filled", memory("1mb"), memory(maxMemory)},
		{"cut", func() error { return t.Proxies.Disturb("", name, cut) },
			func() error { return t.Proxies.Calm(ctx, "", name, cut) }},
	} {
		t.say("  one of two Redis %s", fault.name)
		answers := ledger.New(nil)
		all := voters.Start(ctx, voters.Options{URL: t.Vote.URL("/vote"), Rate: rate, Votes: rate * int(6*sixth.Seconds()),
			Record: answers.Add})
		err := wait.For(ctx, sixth)
		if err == nil {
			err = errors.Join(fault.begin(), wait.For(ctx, 4*sixth), fault.end())
		}
		all.Wait()
		t.must(err)
		t.accepted += answers.Count(ledger.Accepted)
		refused := len(answers.Answers()) - answers.Count(ledger.Accepted)
		t.must(ledger.Drain(ctx, t))
		stored, err := t.Stored(ctx)
		t.must(err)
		t.accepted = min(max(int(stored), t.accepted), t.accepted+refused) // some may be in a queue nevertheless
		figures = append(figures, figure{name: "refused while one of two Redis is " + fault.name + ", at 300 votes/s",
			unit: "votes", value: float64(refused)}.atMost(0))
	}
	return figures
}
