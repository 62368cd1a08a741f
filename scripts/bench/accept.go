package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/shared/ballot"
)

// measureAccept compares the vote service with a bare handler. The worker is paused, so that accepting has the machine
// to itself, as the handler has. The last figure is taken while the worker stores the votes.
func measureAccept(ctx context.Context, t *target) (figures []figure) {
	for _, connections := range []int{64, 512} {
		ours, theirs := t.sideBySide(ctx, connections)
		rate, p99 := throughput("votes accepted per second, ", connections, ours, theirs)
		figures = append(figures, rate.atLeast(0.55), p99.atMost(3))
		if connections == 64 {
			cpu := figure{Name: "CPU to accept one vote: vote and Redis", Unit: "µs", Value: ours.cpuPerVote()}
			figures = append(figures, cpu.against("bare net/http", theirs.cpuPerVote()))
		}
	}
	all := t.saturate(ctx, 64, choose(t.bench, 5*time.Second, time.Second))
	name := "the same while the worker stores them, 64 connections"
	return append(figures, figure{Name: name, Unit: "/s", Value: all.perSecond()})
}

// measureTraced is the same with every vote traced into a real collector.
func measureTraced(ctx context.Context, b *bench) (figures []figure, err error) {
	jaeger, err := b.startJaeger(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, jaeger.close()) }()
	return b.onPlatform(ctx, jaeger.endpoint, "1.0", func(ctx context.Context, t *target) []figure {
		ours, theirs := t.sideBySide(ctx, 64)
		t.must(jaeger.knows(ctx, platform.Vote))
		rate, p99 := throughput("every vote traced into Jaeger, ", 64, ours, theirs)
		return []figure{rate.atLeast(0.35), p99}
	})
}

func throughput(name string, connections int, ours, theirs *side) (rate, p99 figure) {
	name += number(float64(connections)) + " connections"
	rate = figure{Name: name, Unit: "/s", Value: median(ours.rates)}.against("bare net/http", median(theirs.rates))
	p99 = figure{Name: name + ", p99", Unit: "ms", Value: median(ours.p99s)}.against("bare net/http", median(theirs.p99s))
	return rate, p99
}

// side is one of two that are compared.
type side struct {
	*platform.Service
	rates, p99s []float64
	accepted    int
	cpu         time.Duration // of the service and Redis
}

func (s *side) cpuPerVote() float64 { return float64(s.cpu.Microseconds()) / float64(s.accepted) }

// sideBySide loads the vote service and the bare handler in turn, after a warm-up of each, with the worker paused.
func (t *target) sideBySide(ctx context.Context, connections int) (ours, theirs *side) {
	bare := t.startBare(ctx)
	defer func() { t.err = errors.Join(t.err, bare.Kill()) }()
	t.must(t.Worker.Pause())
	ours, theirs = &side{Service: t.Vote}, &side{Service: bare}
	for round := range 1 + choose(t.bench, 4, 1) {
		d := choose(t.bench, 2*time.Second, 500*time.Millisecond)
		if round == 0 {
			d /= 2
		}
		for _, s := range []*side{ours, theirs} {
			before := cpuTime(s.PID(), t.Redis.PID())
			l, err := saturate(ctx, s.Addr(), connections, d)
			t.must(err)
			s.cpu += cpuTime(s.PID(), t.Redis.PID()) - before
			s.accepted += l.accepted
			if s == ours {
				t.count(l)
			}
			if round > 0 {
				s.rates, s.p99s = append(s.rates, l.perSecond()), append(s.p99s, l.p99())
			}
		}
	}
	t.must(t.Worker.Resume())
	t.balanced(ctx)
	return ours, theirs
}

// bareCommand makes this program the handler that the vote service is compared with, in a process of its own as the
// service is.
const bareCommand = "serve-bare"

// serveBare serves it until the process is killed.
func serveBare(addr string, progress io.Writer) int {
	fmt.Fprintln(progress, "bench:", http.ListenAndServe(addr, http.HandlerFunc(answerBare)))
	return 1
}

// answerBare parses the same JSON as the vote service, checks the pet and answers. It does nothing else.
func answerBare(w http.ResponseWriter, r *http.Request) {
	var vote struct {
		Pet string `json:"pet"`
	}
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &vote)
	}
	if err == nil {
		_, err = ballot.ParseChoice(vote.Pet)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "success"}) // the client is gone if this fails
}

// startBare starts it; the caller kills it.
func (t *target) startBare(ctx context.Context) *platform.Service {
	port, err := servers.FreePort()
	t.must(err)
	self, err := os.Executable()
	t.must(err)
	s := &platform.Service{Port: port}
	s.Process = servers.NewProcess(servers.Spec{
		Name: "bare handler", Path: self, Args: []string{bareCommand, s.Addr()},
		Ready: func(context.Context, int) error {
			probe := newLoad(s.Addr(), 1)
			defer probe.close()
			_, err := probe[0].ask()
			return err
		},
	})
	t.must(s.Start(ctx))
	return s
}
