package votestream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Policy makes one call, under a time-out and a breaker.
type Policy func(ctx context.Context, call func(context.Context) error) error

// Producer adds votes to one queue. One writer adds all votes that wait, in one round trip, and so with one fsync
// before Redis's reply. Those that come meanwhile make up the next group, so a lone vote waits for no other.
type Producer struct {
	rdb    *Client
	policy Policy // of a round trip

	mu      sync.Mutex
	waiting []*addition
	writing bool // a writer runs
	closed  bool
	writer  sync.WaitGroup

	pending   atomic.Int64
	additions sync.Pool
}

// The bounds on the votes that wait inside a producer, and on those of a round trip.
const (
	maxWaiting = 16_384
	maxGroup   = 1024
)

var (
	errTooManyWaiting = errors.New("too many votes wait for the queue")
	errNoEntry        = errors.New("redis has named no entry")
	errClosed         = errors.New("the producer is closed")
)

// ErrNoAnswer reports that Redis has not answered in the time that the caller had.
var ErrNoAnswer = fmt.Errorf("redis did not answer in time: %w", context.DeadlineExceeded)

// NewProducer returns a producer on rdb that makes each round trip under policy.
func NewProducer(rdb *Client, policy Policy) *Producer {
	return &Producer{rdb: rdb, policy: policy, additions: sync.Pool{New: newAddition}}
}

// Pending is the number of votes that wait for an answer.
func (p *Producer) Pending() int64 { return p.pending.Load() }

// Publish returns the entry once it is in the stream; with "appendfsync always" it is then on disk. After an error the
// entry may be in the stream. It waits for as long as given at most, and no longer than ctx.
func (p *Producer) Publish(ctx context.Context, m Message, wait time.Duration) (Entry, error) {
	p.pending.Add(1)
	defer p.pending.Add(-1)
	a := p.additions.Get().(*addition)
	a.set(ctx, m)
	if err := p.enqueue(a); err != nil {
		p.reuse(a)
		return Entry{}, err
	}
	a.timer.Reset(wait)
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { a.abandon(ctx.Err()) })
	}
	err := <-a.done // alone, since a select would cost more
	onlyAnswer := stop() && a.timer.Stop()
	if err != nil {
		return Entry{}, fmt.Errorf("add to stream: %w", err) // a is not used again: its command may still be under way
	}
	e := Entry{p.rdb.queue, a.cmd.Val()}
	if onlyAnswer {
		p.reuse(a)
	}
	return e, nil
}

// Close returns once no vote is under way any more. That takes no longer than the policy allows a round trip, if all
// callers have given up. Further votes are refused.
func (p *Producer) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.writer.Wait()
}

// reuse takes an addition to which nobody else refers any more.
func (p *Producer) reuse(a *addition) {
	a.ctx = nil
	p.additions.Put(a)
}

func (p *Producer) enqueue(a *addition) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return errClosed
	case len(p.waiting) >= maxWaiting:
		return errTooManyWaiting
	}
	p.waiting = append(p.waiting, a)
	if !p.writing {
		p.writing = true
		p.writer.Add(1)
		go p.write()
	}
	return nil
}

// write adds the votes that wait, group by group, until none is left.
func (p *Producer) write() {
	defer p.writer.Done()
	var group []*addition
	for {
		if group = p.take(group[:0]); len(group) == 0 {
			return
		}
		p.commit(group)
		runtime.Gosched() // lets voters that were just answered come again and join the next group
	}
}

// take moves votes that wait into a group. If there are none, the writer must end.
func (p *Producer) take(group []*addition) []*addition {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for ; n < len(p.waiting) && len(group) < maxGroup; n++ {
		if a := p.waiting[n]; !a.abandoned.Load() {
			group = append(group, a)
		}
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
	p.writing = len(group) > 0
	return group
}

// commit adds a group with one round trip, and answers each vote.
func (p *Producer) commit(group []*addition) {
	called := false
	err := p.policy(context.WithValue(context.Background(), groupKey{}, group), func(ctx context.Context) error {
		called = true
		return p.add(ctx, group)
	})
	for _, a := range group {
		if called {
			err = a.err()
		}
		a.answer(err)
	}
}

// add makes the round trip. It returns the first error that another attempt might not meet.
func (p *Producer) add(ctx context.Context, group []*addition) error {
	cmds := make([]redis.Cmder, len(group))
	for i, a := range group {
		cmds[i] = a.cmd
	}
	pipe := p.rdb.Pipeline()
	_ = pipe.BatchProcess(ctx, cmds...) // queues them
	_, _ = pipe.Exec(ctx)               // each command has its own error
	for _, a := range group {
		if err := a.err(); err != nil && !IsPermanent(err) {
			return err
		}
	}
	return nil
}

// addition is a vote on its way into the stream. It is used again once it has been answered.
type addition struct {
	ctx    context.Context // the caller's
	values [len(voteFields)]string
	cmd    *redis.StringCmd // its arguments point to the values
	done   chan error       // holds the outcome, the first if there are several
	timer  *time.Timer

	abandoned atomic.Bool // its caller does not wait any more
}

func newAddition() any {
	a := &addition{done: make(chan error, 1)}
	a.timer = time.AfterFunc(time.Hour, func() { a.abandon(ErrNoAnswer) })
	a.timer.Stop()
	args := []any{"xadd", Stream, "*"}
	for i, field := range voteFields {
		args = append(args, field, &a.values[i])
	}
	a.cmd = redis.NewStringCmd(context.Background(), args...)
	return a
}

func (a *addition) set(ctx context.Context, m Message) {
	a.ctx, a.values = ctx, m.values()
	a.cmd.SetErr(nil)
	a.cmd.SetVal("")
	a.abandoned.Store(false)
}

func (a *addition) answer(err error) {
	select {
	case a.done <- err:
	default:
	}
}

// abandon answers a vote whose caller waits no longer. Unless it is under way, it is not added any more.
func (a *addition) abandon(reason error) {
	a.abandoned.Store(true)
	a.answer(reason)
}

// err is nil only if Redis has named the vote's own entry.
func (a *addition) err() error {
	if err := a.cmd.Err(); err != nil {
		return explain(err)
	}
	if a.cmd.Val() == "" {
		return errNoEntry
	}
	return nil
}

type groupKey struct{}

// Callers returns the contexts of the votes for which a producer makes a call under ctx, or nil if none does.
func Callers(ctx context.Context) []context.Context {
	group, _ := ctx.Value(groupKey{}).([]*addition)
	callers := make([]context.Context, len(group))
	for i, a := range group {
		callers[i] = a.ctx
	}
	return callers
}
