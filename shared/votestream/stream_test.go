package votestream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// stream is a queue on a Redis of its own.
type stream struct {
	*Queue
	server   *servers.Redis
	producer producer
}

// producer gives each vote a minute.
type producer struct{ *Producer }

func (p producer) Publish(ctx context.Context, m Message) (Entry, error) {
	return p.Producer.Publish(ctx, m, time.Minute)
}

// once is a policy without limits.
func once(ctx context.Context, call func(context.Context) error) error { return call(ctx) }

// dialURL returns a client of the Redis at an address, with options as a URL has them.
func dialURL(t testing.TB, address string) *Client {
	t.Helper()
	var urls URLs
	testenv.Must(t, urls.UnmarshalText([]byte("redis://"+address)))
	rdb := Config{URLs: urls}.Dial(0)[0]
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// streamAt returns the queue of a server by the client of an address that leads to it.
func streamAt(t *testing.T, address string, server *servers.Redis) *stream {
	t.Helper()
	rdb := dialURL(t, address)
	return &stream{Queue: NewQueue(rdb), server: server, producer: producer{NewProducer(rdb, once)}}
}

// as returns the queue for a user with these rights.
func (s *stream) as(t *testing.T, user, rights string) *stream {
	t.Helper()
	rule := []any{"acl", "setuser", user, "reset", "on", ">secret"}
	for right := range strings.FieldsSeq(rights) {
		rule = append(rule, right)
	}
	testenv.Must(t, s.rdb.Do(t.Context(), rule...).Err())
	return streamAt(t, user+":secret@"+s.server.Addr(), s.server)
}

// newBareStream returns a stream without a group.
func newBareStream(t *testing.T, options ...func(*servers.RedisConfig)) *stream {
	t.Helper()
	server := testenv.NewRedis(t, options...)
	return streamAt(t, server.Addr(), server)
}

func newStream(t *testing.T, options ...func(*servers.RedisConfig)) *stream {
	t.Helper()
	s := newBareStream(t, options...)
	testenv.Must(t, s.EnsureGroup(t.Context()))
	return s
}

func (s *stream) consumer(name string) *Consumer {
	return NewConsumer(s.rdb, ConsumerOptions{
		Name: name, Block: 50 * time.Millisecond, ClaimIdle: 300 * time.Millisecond,
	})
}

func (s *stream) publish(t *testing.T, n int) []Message {
	t.Helper()
	sent := make([]Message, n)
	for i := range sent {
		sent[i] = newMessage(ballot.Choices()[i%3])
		if _, err := s.producer.Publish(t.Context(), sent[i]); err != nil {
			t.Fatal(err)
		}
	}
	return sent
}

// next reads until a batch comes.
func next(t *testing.T, c *Consumer) []Delivery {
	t.Helper()
	for range 100 {
		batch, err := c.Next(t.Context(), 10, true)
		testenv.Must(t, err)
		if len(batch) > 0 {
			return batch
		}
	}
	t.Fatal("nothing came")
	return nil
}

func ids(batch []Delivery) []string {
	var list []string
	for _, d := range batch {
		list = append(list, d.EntryID)
	}
	return list
}

func (s *stream) stats(t *testing.T) Stats {
	t.Helper()
	st, err := s.Stats(t.Context())
	testenv.Must(t, err)
	return st
}

func TestAPublishedVoteArrivesUnchanged(t *testing.T) {
	s := newStream(t)
	sent := s.publish(t, 3)
	got := next(t, s.consumer("a"))
	if len(got) != 3 {
		t.Fatalf("%d entries, want 3", len(got))
	}
	for i, d := range got {
		if d.Err != nil || d.Message != sent[i] || d.Deliveries != 1 {
			t.Errorf("entry %d: %+v, want %+v", i, d, sent[i])
		}
		if w := d.Waited(time.Now()); w < 0 || w > time.Minute {
			t.Errorf("waited %v", w)
		}
	}
}

func TestConcurrentVotesShareRoundTrips(t *testing.T) {
	s := newStream(t)
	const votes = 2000
	var wg sync.WaitGroup
	for range votes {
		wg.Go(func() {
			if _, err := s.producer.Publish(t.Context(), newMessage(ballot.Dogs)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if st := s.stats(t); st.Added != votes || st.Waiting != votes {
		t.Errorf("stats %+v, want %d added and waiting", st, votes)
	}
	info, err := s.rdb.Info(t.Context(), "stats").Result()
	testenv.Must(t, err)
	var reads int
	for line := range strings.Lines(info) {
		_, _ = fmt.Sscanf(line, "total_reads_processed:%d", &reads)
	}
	if reads == 0 || reads > votes/2 {
		t.Errorf("%d reads by Redis for %d votes: round trips are not shared", reads, votes)
	}
}

func TestAckedEntriesAreGoneAndCounted(t *testing.T) {
	s := newStream(t)
	s.publish(t, 5)
	c := s.consumer("a")
	batch := next(t, c)
	if st := s.stats(t); st.InFlight != 5 || st.Waiting != 0 {
		t.Errorf("in flight: %+v", st)
	}
	for range 2 { // a second time changes nothing
		testenv.Must(t, s.Ack(t.Context(), ids(batch[:3])))
	}
	if st := s.stats(t); st.Added != 5 || st.InFlight != 2 || st.Waiting != 0 || st.Dead != 0 {
		t.Errorf("acked 3 of 5: %+v", st)
	}
}

func TestARestartedConsumerGetsItsOwnPendingFirst(t *testing.T) {
	s := newStream(t)
	s.publish(t, 25)
	first := s.consumer("a")
	held := append(next(t, first), next(t, first)...) // two batches of ten, then it crashes
	s.publish(t, 1)

	second := s.consumer("a")
	var got []Delivery
	for len(got) < 20 {
		batch := next(t, second)
		for _, d := range batch {
			if d.Deliveries != 2 {
				t.Errorf("entry %s delivered %d times, want 2", d.EntryID, d.Deliveries)
			}
		}
		got = append(got, batch...)
	}
	for i := range held {
		if got[i].EntryID != held[i].EntryID {
			t.Fatalf("entry %d is %s, want %s", i, got[i].EntryID, held[i].EntryID)
		}
	}
	if rest := next(t, second); len(rest) != 6 || rest[0].Deliveries != 1 {
		t.Errorf("then %d entries, the first delivered %d times; want the 6 new ones", len(rest), rest[0].Deliveries)
	}
}

// An old backlog must not hold up fresh votes.
func TestClaimedEntriesComeInTurnsWithNewOnes(t *testing.T) {
	s := newStream(t)
	s.publish(t, 10)
	next(t, s.consumer("dead"))
	s.publish(t, 2)
	heir := s.consumer("heir")
	heir.resume, heir.options.ClaimIdle = "", 0
	var got []string
	for range 7 {
		batch, err := heir.Next(t.Context(), 4, false)
		testenv.Must(t, err)
		if len(batch) == 0 {
			got = append(got, "none")
			continue
		}
		got = append(got, fmt.Sprintf("%d delivered %d times", len(batch), batch[0].Deliveries))
		testenv.Must(t, s.Ack(t.Context(), ids(batch)))
	}
	const claimed = "4 delivered 2 times"
	want := []string{claimed, "2 delivered 1 times", claimed, "none", "2 delivered 2 times", "none", "none"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Deferred entries stay their consumer's while it comes back to them, and are another's once that has claimed them.
func TestAConsumerHoldsTheEntriesThatNoOtherHasClaimed(t *testing.T) {
	s := newStream(t)
	s.publish(t, 5)
	slow, other := s.consumer("slow"), s.consumer("other")
	batch := next(t, slow)
	move := func(to string, idle time.Duration, batch []Delivery) {
		t.Helper()
		args := []any{"xclaim", Stream, Group, to, 0}
		for _, d := range batch {
			args = append(args, d.EntryID)
		}
		testenv.Must(t, s.rdb.Do(t.Context(), append(args, "idle", idle.Milliseconds(), "justid")...).Err())
	}
	move("slow", time.Hour, batch)
	move("other", 0, batch[1:2])
	testenv.Must(t, s.Ack(t.Context(), ids(batch[2:3])))
	held, err := slow.Hold(t.Context(), batch[:4])
	if err != nil || !slices.Equal(ids(held), []string{batch[0].EntryID, batch[3].EntryID}) {
		t.Errorf("held %v, %v", ids(held), err)
	}
	other.resume, other.options.ClaimIdle = "", 30*time.Minute
	taken, err := other.Next(t.Context(), 10, false)
	if err != nil || !slices.Equal(ids(taken), ids(batch[4:])) {
		t.Errorf("another consumer claims %v, %v; want only the one that was not held", ids(taken), err)
	}
	for _, d := range next(t, s.consumer("slow")) {
		if d.Deliveries != 2 { // with this one
			t.Errorf("holding counts as a delivery: %d", d.Deliveries)
		}
	}
}

func TestALivingConsumersFreshEntriesAreNotClaimed(t *testing.T) {
	s := newStream(t)
	s.publish(t, 1)
	next(t, s.consumer("alive"))
	other := s.consumer("other")
	other.options.ClaimIdle = time.Hour
	for range 3 {
		other.nextLook = time.Time{}
		if batch, err := other.Next(t.Context(), 10, true); err != nil || len(batch) != 0 {
			t.Fatalf("took %v, %v", batch, err)
		}
	}
}

func TestIdleConsumersWithoutPendingAreForgotten(t *testing.T) {
	s := newStream(t)
	s.publish(t, 1)
	next(t, s.consumer("holds"))
	testenv.Must(t, s.rdb.XGroupCreateConsumer(t.Context(), Stream, Group, "idle").Err())
	forget := func(after time.Duration) int64 {
		n, err := forgetScript.Run(t.Context(), s.rdb, []string{Stream}, Group, after.Milliseconds()).Int64()
		testenv.Must(t, err)
		return n
	}
	if n := forget(time.Hour); n != 0 {
		t.Errorf("forgot %d active ones", n)
	}
	time.Sleep(20 * time.Millisecond) // Redis counts idle time in milliseconds
	if n := forget(time.Millisecond); n != 1 {
		t.Errorf("forgot %d, want the idle one and not the one that holds an entry", n)
	}
	if st := s.stats(t); st.InFlight != 1 {
		t.Errorf("afterwards %+v", st)
	}
}

func TestPoisonGoesToTheDeadLettersAndBack(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	sent := s.publish(t, 1)
	poison := uuid.New()
	for _, id := range []string{strings.ToUpper(poison.String()), "not a uuid"} {
		s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: Stream, Values: []any{"vote", "dogs", "id", id, "more", "kept"}})
	}
	batch := next(t, s.consumer("a"))
	if len(batch) != 3 || batch[0].Err != nil || !errors.Is(batch[1].Err, ErrUndecodable) ||
		!errors.Is(batch[2].Err, ErrUndecodable) {
		t.Fatalf("batch %+v", batch)
	}
	err := s.DeadLetter(ctx, []Failure{
		{batch[1], ReasonUndecodable, batch[1].Err}, {batch[0], ReasonRejected, errors.New("refused")},
		{batch[2], ReasonUndecodable, batch[2].Err},
	})
	testenv.Must(t, err)
	if st := s.stats(t); st.Added != 3 || st.Dead != 3 || st.DeadNow != 3 || st.InFlight+st.Waiting != 0 {
		t.Errorf("after dead-lettering: %+v", st)
	}
	rejected := Location{Message: sent[0], Dead: true, Reason: ReasonRejected}
	s.wantLookup(t, "a vote", Entry{}, sent[0].Vote.ID, rejected, nil)
	s.wantLookup(t, "no vote, but an id", Entry{}, poison, Location{Dead: true, Reason: ReasonUndecodable}, nil)
	s.wantLookup(t, "nobody's", Entry{}, uuid.New(), Location{}, ErrNotQueued)
	letters, err := s.ListDeadLetters(ctx, "", 10)
	if err != nil || len(letters) != 3 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	if l := letters[0]; l.Reason != ReasonUndecodable || l.Error != batch[1].Err.Error() || l.Fields["more"] != "kept" ||
		time.Since(l.FailedAt) > time.Minute {
		t.Errorf("letter %+v", l)
	}
	more, err := s.ListDeadLetters(ctx, letters[0].ID, 10)
	if err != nil || len(more) != 2 || more[0].ID != letters[1].ID {
		t.Errorf("the page after the first: %+v, %v", more, err)
	}
	testenv.Must(t, s.Replay(ctx, letters[1].ID))
	if err := s.Replay(ctx, letters[1].ID); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("a second replay: %v", err)
	}
	s.wantLookup(t, "replayed", Entry{}, sent[0].Vote.ID, Location{}, ErrMaybeQueued)
	back := next(t, s.consumer("a"))
	if len(back) != 1 || back[0].Message != sent[0] {
		t.Errorf("replayed: %+v", back)
	}
	testenv.Must(t, errors.Join(s.Drop(ctx, letters[0].ID), s.Drop(ctx, letters[2].ID)))
	if err := s.Drop(ctx, letters[0].ID); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("a second drop: %v", err)
	}
	if st := s.stats(t); st.Dead != 3 || st.DeadNow != 0 || st.Added != 4 || s.rdb.Exists(ctx, deadIndexKey).Val() != 0 {
		t.Errorf("at the end: %+v, and perhaps an index", st)
	}
	s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: DeadStream, Values: sent[0].encoded()})
	testenv.Must(t, s.Ack(ctx, ids(back)))
	s.wantLookup(t, "without an index, as of an earlier release", Entry{}, sent[0].Vote.ID, Location{}, ErrMaybeQueued)
}

func TestDeadLetteringAgainOrAfterAnAckAddsNoDeadLetter(t *testing.T) {
	s := newStream(t)
	s.publish(t, 2)
	batch := next(t, s.consumer("a"))
	testenv.Must(t, s.Ack(t.Context(), ids(batch[1:])))
	why := errors.New("refused")
	for range 2 { // as after a lost reply
		err := s.DeadLetter(t.Context(), []Failure{{batch[0], ReasonRejected, why}, {batch[1], ReasonRejected, why}})
		testenv.Must(t, err)
	}
	if st := s.stats(t); st.Added != 2 || st.Dead != 1 || st.InFlight+st.Waiting != 0 {
		t.Errorf("stats %+v, want one acked and one dead letter", st)
	}
}

func TestAnEntryThatCannotBeDeadLetteredStaysPending(t *testing.T) {
	s := newStream(t)
	s.publish(t, 1)
	batch := next(t, s.consumer("a"))
	testenv.Must(t, s.rdb.Set(t.Context(), DeadStream, "in the way", 0).Err())
	if err := s.DeadLetter(t.Context(), []Failure{{batch[0], ReasonRejected, errors.New("refused")}}); err == nil {
		t.Error("dead-lettered into a string")
	}
	if n := s.rdb.XLen(t.Context(), Stream).Val(); n != 1 {
		t.Errorf("%d entries in the stream, want the one", n)
	}
	if p := s.rdb.XPending(t.Context(), Stream, Group).Val(); p.Count != 1 {
		t.Errorf("%d pending, want the one", p.Count)
	}
}

func TestRetryCountsAreForgottenWithTheirEntry(t *testing.T) {
	s := newStream(t)
	ctx := t.Context()
	s.publish(t, 2)
	batch := next(t, s.consumer("a"))
	for want := range int64(3) {
		for _, d := range batch {
			if n, err := s.CountRetry(ctx, d.EntryID); err != nil || n != want+1 {
				t.Fatalf("retry %d counted as %d, %v", want+1, n, err)
			}
		}
	}
	dead := []Failure{{batch[1], ReasonDeliveries, errors.New("retried")}}
	testenv.Must(t, errors.Join(s.Ack(ctx, ids(batch[:1])), s.DeadLetter(ctx, dead)))
	for _, d := range batch { // as by another worker, which held the entry too
		if n, err := s.CountRetry(ctx, d.EntryID); err != nil || n != 0 {
			t.Errorf("a retry of an entry that is gone counted as %d, %v", n, err)
		}
	}
	if n := s.rdb.Exists(ctx, retriesKey).Val(); n != 0 {
		t.Error("the counts of entries that are gone were kept")
	}
}

func TestPublishEndsWithItsContextWhileRedisHangs(t *testing.T) {
	s := newStream(t)
	testenv.Must(t, s.server.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.producer.Publish(ctx, newMessage(ballot.Dogs))
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if IsPermanent(err) {
		t.Error("a Redis that hangs is not counted as a failure")
	}
	testenv.Must(t, s.server.Resume())
}

func TestARedisThatIsOutOfMemoryRefusesVotesButAcks(t *testing.T) {
	s := newStream(t, func(c *servers.RedisConfig) { c.MaxMemory = "3mb" })
	ctx := t.Context()
	refusals := make(chan error, 32)
	for range cap(refusals) {
		go func() {
			for range 10_000 {
				if _, err := s.producer.Publish(ctx, newMessage(ballot.Cats)); err != nil {
					refusals <- err
					return
				}
			}
			refusals <- nil
		}()
	}
	var refusal error
	for range cap(refusals) {
		if err := <-refusals; err != nil {
			refusal = err
		}
	}
	if !redis.IsOOMError(refusal) || IsPermanent(refusal) {
		t.Fatalf("refusal: %v", refusal)
	}
	if err := s.PingWrite(ctx); !redis.IsOOMError(err) {
		t.Errorf("a vote service would call itself ready: %v", err)
	}
	if err := errors.Join(s.Ping(ctx), s.EnsureGroup(ctx)); err != nil {
		t.Errorf("a worker would call itself unready: %v", err)
	}
	c := NewConsumer(s.rdb, ConsumerOptions{Name: "a", Block: time.Millisecond, ClaimIdle: time.Hour})
	for {
		batch, err := c.Next(ctx, 2000, true)
		testenv.Must(t, err)
		if len(batch) == 0 {
			break
		}
		testenv.Must(t, s.Ack(ctx, ids(batch)))
	}
	if _, err := s.producer.Publish(ctx, newMessage(ballot.Cats)); err != nil {
		t.Errorf("votes are refused after the queue was emptied: %v", err)
	}
}

func TestTheListOfAnOlderSystemGetsAClearMessage(t *testing.T) {
	s := newBareStream(t)
	ctx := t.Context()
	testenv.Must(t, s.rdb.LPush(ctx, Stream, "dogs").Err())
	_, nextErr := s.consumer("a").Next(ctx, 10, true)
	_, statsErr := s.Stats(ctx)
	_, lookupErr := s.Lookup(ctx, Entry{}, uuid.New())
	_, publishErr := s.producer.Publish(ctx, newMessage(ballot.Dogs))
	for name, err := range map[string]error{
		"publish": publishErr, "ping": s.Ping(ctx),
		"ping for writing": s.PingWrite(ctx), "ensure group": s.EnsureGroup(ctx), "next": nextErr, "stats": statsErr,
		"look up": lookupErr,
	} {
		if !errors.Is(err, ErrForeignKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.rdb.LLen(ctx, Stream).Val(); n != 1 {
		t.Errorf("the list has %d entries now, want it untouched", n)
	}
}
