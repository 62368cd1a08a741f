package votestream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

func inCluster(slots string) func(*servers.RedisConfig) {
	return func(c *servers.RedisConfig) { c.Slots = slots }
}

func TestEverythingWorksInAClusterOfOneServer(t *testing.T) {
	t.Parallel()
	s := newStream(t, inCluster(servers.AllSlots))
	ctx := t.Context()
	sent := s.publish(t, 3)
	batch := next(t, s.consumer("a"))
	because := errors.New("refused")
	refused := []Failure{{batch[1], ReasonRejected, because}, {batch[2], ReasonRejected, because}}
	retries, err := s.CountRetry(ctx, batch[1].EntryID)
	testenv.Must(t, errors.Join(err, s.PingWrite(ctx), s.Ack(ctx, ids(batch[:1])), s.DeadLetter(ctx, refused)))
	st := s.stats(t)
	if retries != 1 || st.Added != 3 || st.Dead != 2 || st.Waiting+st.InFlight != 0 {
		t.Errorf("%d retries, stats %+v", retries, st)
	}
	s.wantLookup(t, "dead", Entry{}, sent[1].Vote.ID, Location{Message: sent[1], Dead: true, Reason: ReasonRejected}, nil)
	letters, err := s.ListDeadLetters(ctx, "", 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	testenv.Must(t, errors.Join(s.Replay(ctx, letters[0].ID), s.Drop(ctx, letters[1].ID)))
	if st := s.stats(t); st.Added != 4 || st.Waiting != 1 || st.DeadNow != 0 {
		t.Errorf("after the replay: %+v", st)
	}
	next(t, s.consumer("dead"))
	if claimed := next(t, s.consumer("heir")); len(claimed) != 1 || claimed[0].Deliveries != 2 {
		t.Errorf("claimed %+v", claimed)
	}
}

func TestAClusterOfSeveralServersIsUsedWhereTheQueueIsAndRefusedElsewhere(t *testing.T) {
	t.Parallel()
	low, high := newBareStream(t, inCluster("0-8191")), newBareStream(t, inCluster("8192-16383"))
	ctx := t.Context()
	port := low.server.Port
	bus := low.rdb.ConfigGet(ctx, "cluster-port").Val()["cluster-port"]
	testenv.Must(t, high.rdb.Do(ctx, "cluster", "meet", servers.Loopback, port, bus).Err())
	for _, s := range []*stream{low, high} {
		err := wait.Until(ctx, time.Minute, func(ctx context.Context) error {
			info, err := s.rdb.ClusterInfo(ctx).Result()
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				err = errors.New(info)
			}
			return err
		})
		testenv.Must(t, err)
	}
	here, elsewhere := low, high
	if slot := low.rdb.ClusterKeySlot(ctx, Stream).Val(); slot > 8191 {
		here, elsewhere = high, low
	}
	weak, err := here.MoveFormerKeys(ctx) // these keys lie elsewhere
	if err := errors.Join(err, here.EnsureGroup(ctx), here.PingWrite(ctx)); err != nil || len(weak) > 0 {
		t.Error(weak, err)
	}
	here.publish(t, 1)
	if st := here.stats(t); st.Waiting != 1 {
		t.Errorf("stats %+v", st)
	}
	_, err = elsewhere.producer.Publish(ctx, newMessage(ballot.Dogs))
	for name, err := range map[string]error{
		"publish": err, "probe": elsewhere.PingWrite(ctx), "ping": elsewhere.Ping(ctx),
	} {
		if !errors.Is(err, errOtherServer) || !strings.Contains(err.Error(), here.server.Addr()) {
			t.Errorf("%s: %v, which does not name %s", name, err, here.server.Addr())
		}
	}
	// So answers a replica, which a failover behind one address makes of the server that old connections lead to.
	relay, err := servers.NewRelay(elsewhere.server.Addr(), servers.Delays{})
	testenv.Must(t, err)
	t.Cleanup(func() { _ = relay.Close() })
	for _, ping := range []func(*Queue, context.Context) error{(*Queue).PingWrite, (*Queue).Ping} {
		queue := NewQueue(dialURL(t, relay.Addr()))
		relay.Lead(elsewhere.server.Addr())
		if err := ping(queue, ctx); !errors.Is(err, errOtherServer) {
			t.Errorf("the probe of the other server: %v", err)
		}
		relay.Lead(here.server.Addr())
		if err := ping(queue, ctx); err != nil {
			t.Errorf("the probe after the failover: %v", err)
		}
	}
}
