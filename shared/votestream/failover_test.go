package votestream

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// failover is a Redis behind an address that leads to its replica after a hand-over.
type failover struct {
	*stream
	relay   *servers.Relay
	replica *servers.Redis
}

func newFailover(t *testing.T) failover {
	t.Helper()
	primary, replica := testenv.NewRedis(t), testenv.NewRedis(t)
	relay := testenv.NewRelay(t, primary.Addr(), servers.Delays{})
	f := failover{streamAt(t, relay.Addr(), primary), relay, replica}
	testenv.Must(t, errors.Join(f.EnsureGroup(t.Context()), replica.Follow(t.Context(), primary)))
	return f
}

// fill opens as many connections as the pools hold: the client has one for pipelines and one for other commands.
func (f failover) fill(t *testing.T) {
	t.Helper()
	var asking sync.WaitGroup
	for range otherConns {
		asking.Go(func() { f.rdb.BLPop(t.Context(), 100*time.Millisecond, "nothing") })
		asking.Go(func() { _ = f.PingWrite(t.Context()) })
	}
	asking.Wait()
	if s := f.rdb.PoolStats(); s.IdleConns < otherConns/2 || s.PipelineStats.IdleConns == 0 {
		t.Fatalf("too few connections: %+v", s)
	}
}

// handOver leaves all connections with a read-only replica, and leads new ones to the new primary.
func (f failover) handOver(t *testing.T) {
	t.Helper()
	testenv.Must(t, f.server.HandOver(t.Context(), f.replica))
	f.relay.Lead(f.replica.Addr())
}

// Nobody votes, so only the probe can notice that its connection leads to the wrong server.
func TestTheProbesHealThemselvesAfterAFailover(t *testing.T) {
	t.Parallel()
	for name, ping := range map[string]func(*Queue, context.Context) error{
		"vote": (*Queue).PingWrite, "worker": (*Queue).Ping,
	} {
		f := newFailover(t)
		f.fill(t)
		f.handOver(t)
		if err := ping(f.Queue, t.Context()); !redis.IsReadOnlyError(err) {
			t.Errorf("%s: the probe of a connection that leads to a replica: %v", name, err)
		}
		if err := ping(f.Queue, t.Context()); err != nil {
			t.Errorf("%s: the probe after that: %v", name, err)
		}
	}
}

func TestOneReadOnlyReplyGivesUpEveryConnection(t *testing.T) {
	t.Parallel()
	inPipeline := func(f failover) error {
		_, err := f.rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			p.XLen(t.Context(), Stream)
			p.HSet(t.Context(), retriesKey, "1-1", 1)
			return nil
		})
		return err
	}
	for name, write := range map[string]func(failover) error{
		"the second reply of a pipeline": inPipeline,
		"a script":                       func(f failover) error { return f.Ack(t.Context(), []string{"1-1"}) },
		"a read of a consumer": func(f failover) error {
			_, err := f.consumer("a").Next(t.Context(), 10, false)
			return err
		},
		"a vote": func(f failover) error {
			_, err := f.producer.Publish(t.Context(), newMessage(ballot.Dogs))
			return err
		},
	} {
		f := newFailover(t)
		f.fill(t)
		f.handOver(t)
		if err := write(f); !redis.IsReadOnlyError(err) {
			t.Errorf("%s: %v, want READONLY once", name, err)
		}
		for range 2 * otherConns {
			if err := write(f); err != nil {
				t.Errorf("%s again: %v", name, err)
				break
			}
		}
	}
}

// The old server may hang instead, as behind a network that drops packets: not each connection has to time out.
func TestOneTimeoutGivesUpEveryConnection(t *testing.T) {
	t.Parallel()
	f := newFailover(t)
	f.fill(t)
	f.handOver(t)
	testenv.Must(t, f.server.Pause())
	if err := f.PingWrite(t.Context()); err == nil {
		t.Error("a server that hangs answers")
	}
	start := time.Now()
	for range 2 * otherConns {
		if err := errors.Join(f.PingWrite(t.Context()), f.Ping(t.Context())); err != nil {
			t.Errorf("after %v: %v", time.Since(start), err)
			break
		}
	}
	testenv.Must(t, f.server.Resume())
}

// With TLS the pool can't look into a connection.
func TestConnectionsThatThePoolCannotCheckAreGivenUpToo(t *testing.T) {
	t.Parallel()
	f := newFailover(t)
	hidden := redis.NewClient(&redis.Options{MaxRetries: -1,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.relay.Addr())
			return struct{ net.Conn }{conn}, err
		}})
	t.Cleanup(func() { _ = hidden.Close() })
	hidden.AddHook(new(retirement))
	f.stream.Queue = NewQueue(&Client{Client: hidden})
	testenv.Must(t, f.PingWrite(t.Context()))
	if err := f.PingWrite(t.Context()); err != nil || hidden.PoolStats().PipelineStats.Hits == 0 {
		t.Errorf("a good connection is not used again: %v, %+v", err, hidden.PoolStats())
	}
	f.handOver(t)
	if err := f.PingWrite(t.Context()); !redis.IsReadOnlyError(err) {
		t.Errorf("the probe of a connection that leads to a replica: %v", err)
	}
	if err := f.PingWrite(t.Context()); err != nil {
		t.Error(err)
	}
}

// A primary that lost its replicas refuses writes where it must have some: it may be the one that was replaced.
func TestAnIsolatedPrimaryIsGivenUp(t *testing.T) {
	t.Parallel()
	f := newFailover(t)
	f.fill(t)
	testenv.Must(t, f.rdb.ConfigSet(t.Context(), "min-replicas-to-write", "2").Err())
	if err := f.PingWrite(t.Context()); !redis.IsNoReplicasError(err) {
		t.Fatalf("the probe: %v", err)
	}
	before := f.rdb.PoolStats().Misses
	if _, _ = f.Stats(t.Context()); f.rdb.PoolStats().Misses == before {
		t.Error("its connections are still used")
	}
}

// Rights that do not suffice to vote make vote unready; no others are asked for.
func TestTheProbeNeedsTheRightsOfVotingAndNoOthers(t *testing.T) {
	s := newStream(t)
	for rights, allowed := range map[string]bool{
		"~votes +xadd": true, "~votes* +@stream +@connection": true,
		"~votes +@read": false, "~other +@all": false,
	} {
		voter := s.as(t, "voter", rights)
		_, voteErr := voter.producer.Publish(t.Context(), newMessage(ballot.Dogs))
		pingErr := voter.PingWrite(t.Context())
		if (voteErr == nil) != allowed || (pingErr == nil) != allowed {
			t.Errorf("%s: voting %v, probing %v", rights, voteErr, pingErr)
		}
	}
}

// The client leaves the commands of a pipeline without an error then.
func TestAConnectionThatCannotBeUsedIsTheErrorOfEveryCommand(t *testing.T) {
	s := newStream(t)
	voter := &stream{server: s.server, Queue: NewQueue(dialURL(t, "nobody:wrong@"+s.server.Addr()))}
	_, voteErr := producer{NewProducer(voter.rdb, once)}.Publish(t.Context(), newMessage(ballot.Dogs))
	for what, err := range map[string]error{"voting": voteErr, "probing": voter.PingWrite(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("%s with a wrong password: %v", what, err)
		}
	}
}

func TestAProbeAddsNothing(t *testing.T) {
	s := newBareStream(t)
	for _, what := range []string{"without a stream", "with an empty one"} {
		if err := s.PingWrite(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if st, err := s.Stats(t.Context()); err != nil || st != (Stats{Ahead: st.Ahead}) {
			t.Errorf("%s: %+v, %v", what, st, err)
		}
		if keys := s.rdb.Keys(t.Context(), "*").Val(); what == "without a stream" && len(keys) > 0 {
			t.Errorf("the probe made %q", keys)
		}
		testenv.Must(t, s.EnsureGroup(t.Context()))
	}
}

// A connection ends after its lifetime even if it works: it may lead to a server that nobody else uses any more.
func TestConnectionsHaveALifetime(t *testing.T) {
	t.Parallel()
	f := newFailover(t)
	o := f.rdb.Options()
	if o.ConnMaxLifetime != connLifetime || o.ConnMaxLifetimeJitter != connLifetimeJitter {
		t.Errorf("lifetime %v ± %v", o.ConnMaxLifetime, o.ConnMaxLifetimeJitter)
	}
	rdb := dialURL(t, f.relay.Addr()+"?conn_max_lifetime=200ms")
	testenv.Must(t, rdb.Set(t.Context(), "here", "the old server", 0).Err())
	other := testenv.NewRedis(t) // not even a replica: nothing but the lifetime tells
	f.relay.Lead(other.Addr())
	testenv.Must(t, wait.Until(t.Context(), 10*time.Second, func(ctx context.Context) error {
		if err := rdb.Get(ctx, "here").Err(); !errors.Is(err, redis.Nil) {
			return errors.New("it still reads the old server")
		}
		return nil
	}))
}
