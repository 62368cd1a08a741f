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

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/shared/ballot"
)

// measureAccept compares the vote service with its parts alone: a bare handler, and XADDs in pipelines of as many as
// there are connections.
func measureAccept(ctx context.Context, t *target) (figures []figure) {
	bare := t.startBare(ctx)
	defer t.kill(bare)
	compared := func(connections int, maxCPU, minRate float64, more ...*workload) (handler *workload) {
		ours, handler, xadd := t.accepting(ctx, connections), t.handling(ctx, bare, connections), t.adding(ctx, connections)
		t.interleave(fullOrQuick(t.bench, 6, 1), append(more, ours, handler, xadd)...)
		with := fmt.Sprintf(", %d connections", connections)
		cpu := figure{name: "CPU to accept a vote, vote and Redis" + with, unit: "µs", value: ours.cpu()}
		rate := figure{name: "votes accepted per second" + with, unit: "/s", value: ours.rate()}
		figures = append(figures,
			cpu.against("bare handler", handler.cpu()).ratioAtMost(maxCPU),
			cpu.against("bare handler and pipelined XADD", handler.cpu()+xadd.cpu()),
			rate.against("bare handler", handler.rate()).ratioAtLeast(minRate))
		return handler
	}
	stored := t.acceptingAndStoring(ctx, 64)
	handler := compared(64, 2.4, 0.42, stored)
	rate := figure{name: "votes accepted and stored per second, 64 connections", unit: "/s", value: stored.rate()}
	figures = append(figures, rate.against("bare handler", handler.rate()).ratioAtLeast(0.30))
	compared(512, 2.0, 0.52)
	return figures
}

// measureTraced has every vote traced into a real collector.
func measureTraced(ctx context.Context, b *bench) (figures []figure, err error) {
	jaeger, err := b.startJaeger(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, jaeger.close()) }()
	return b.onPlatform(ctx, platform.Options{}, jaeger.endpoint, "1.0", func(ctx context.Context, t *target) []figure {
		bare := t.startBare(ctx)
		defer t.kill(bare)
		ours, handler := t.accepting(ctx, 64), t.handling(ctx, bare, 64)
		t.interleave(fullOrQuick(t.bench, 6, 1), ours, handler)
		t.must(jaeger.knows(ctx, platform.Vote))
		rate := figure{name: "votes accepted per second, every one traced into Jaeger", unit: "/s", value: ours.rate()}
		return []figure{rate.against("bare handler", handler.rate()).ratioAtLeast(0.33)}
	})
}

func (t *target) turn() time.Duration {
	return fullOrQuick(t.bench, 1500*time.Millisecond, 300*time.Millisecond)
}

// saturate keeps connections busy for a turn.
func (t *target) saturate(ctx context.Context, addr string, connections int) (int, time.Duration) {
	votes, took, err := load(ctx, addr, connections, 0, t.turn())
	t.must(err)
	if addr == t.Vote.Addr() {
		t.accepted += votes
	}
	return votes, took
}

// accepting has the worker paused, so that accepting has the machine to itself, as the bare handler has.
func (t *target) accepting(ctx context.Context, connections int) *workload {
	return &workload{
		processes: t.withRedis(t.Vote),
		run: func() (int, time.Duration) {
			t.must(t.Worker.Pause())
			return t.saturate(ctx, t.Vote.Addr(), connections)
		},
		after: func() { t.must(errors.Join(t.Worker.Resume(), ledger.Drain(ctx, t))) },
	}
}

// acceptingAndStoring counts the votes that are stored by the end of the turn.
func (t *target) acceptingAndStoring(ctx context.Context, connections int) *workload {
	return &workload{
		run: func() (int, time.Duration) {
			before, err := t.Stored(ctx)
			t.must(err)
			_, took := t.saturate(ctx, t.Vote.Addr(), connections)
			now, err := t.Stored(ctx)
			t.must(err)
			return int(now - before), took
		},
		after: func() { t.must(ledger.Drain(ctx, t)) },
	}
}

func (t *target) handling(ctx context.Context, bare *platform.Service, connections int) *workload {
	return &workload{
		processes: []process{bare},
		run:       func() (int, time.Duration) { return t.saturate(ctx, bare.Addr(), connections) },
	}
}

// adding adds the same entry again and again, to another stream.
func (t *target) adding(ctx context.Context, batch int) *workload {
	const stream = "bare"
	entry := newEntry(stream, 0)
	return &workload{
		processes: t.withRedis(self{}),
		run: func() (int, time.Duration) {
			start := time.Now()
			added := t.add(ctx, batch, func(int) []any { return entry }, func(int) bool {
				return time.Since(start) < t.turn()
			})
			return added, time.Since(start)
		},
		after: func() {
			for _, rdb := range t.RDBs {
				t.must(rdb.Del(ctx, stream).Err())
			}
		},
	}
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
	path, err := os.Executable()
	t.must(err)
	s := &platform.Service{Port: port}
	s.Process = servers.NewProcess(servers.Spec{
		Name: "bare handler", Path: path, Args: []string{bareCommand, s.Addr()},
		Ready: func(ctx context.Context, _ int) error {
			_, _, err := load(ctx, s.Addr(), 1, 0, time.Millisecond)
			return err
		},
	})
	t.must(s.Start(ctx))
	return s
}

func (t *target) kill(s *platform.Service) { t.err = errors.Join(t.err, s.Kill()) }
