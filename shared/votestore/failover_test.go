package votestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/wait"
	"petvote/shared/ballot"
)

// newPair returns a primary with a synchronous standby, and a store whose address follows from their URLs.
func newPair(t *testing.T, address func(primary, standby *servers.Postgres) string) (
	s *Store, primary, standby *servers.Postgres,
) {
	t.Helper()
	primary = testenv.NewPostgres(t)
	standby = testenv.NewPostgres(t, func(c *servers.PostgresConfig) { c.StandbyOf = primary })
	testenv.Must(t, primary.Synchronize(t.Context()))
	s = openStore(t, address(primary, standby))
	migrate(t, s)
	return s, primary, standby
}

// relayed is the URL of a server behind an address.
func relayed(t *testing.T, server *servers.Postgres) (*servers.Relay, string) {
	t.Helper()
	relay := testenv.NewRelay(t, server.Addr(), servers.Delays{})
	return relay, strings.Replace(server.URL(), server.Addr(), relay.Addr(), 1)
}

// fill opens as many connections as the pool holds.
func fill(t *testing.T, s *Store) {
	t.Helper()
	var asking sync.WaitGroup
	for range s.pool.Config().MaxConns {
		asking.Go(func() { _, _ = s.pool.Exec(t.Context(), "select pg_sleep(0.2)") })
	}
	asking.Wait()
	if n := s.pool.Stat().IdleConns(); n < s.pool.Config().MaxConns/2 {
		t.Fatalf("only %d connections", n)
	}
}

// The old primary stays up, read-only, with all connections; the address leads to the promoted standby.
func TestConnectionsToAFencedPrimaryAreGivenUp(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for name, use := range map[string]func(*Store) error{
		"record": func(s *Store) error {
			_, err := s.Record(t.Context(), []Entry{newEntry(ballot.Dogs)})
			return err
		},
		"ping": func(s *Store) error { return s.Ping(t.Context()) },
	} {
		var relay *servers.Relay
		s, primary, standby := newPair(t, func(primary, _ *servers.Postgres) (address string) {
			relay, address = relayed(t, primary)
			return address + "&target_session_attrs=read-write"
		})
		record(t, s, newEntry(ballot.Cats))
		fill(t, s)
		testenv.Must(t, errors.Join(primary.Fence(t.Context()), standby.Promote(t.Context())))
		relay.Lead(standby.Addr())
		if err := wait.Until(t.Context(), 10*time.Second, func(context.Context) error { // the reload takes a moment
			if use(s) == nil {
				return errors.New("the fenced primary was not noticed")
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 * s.pool.Config().MaxConns {
			if err := use(s); err != nil {
				t.Errorf("%s after that: %v", name, err)
				break
			}
		}
		record(t, s, newEntry(ballot.Dogs))
		if got := tally(t, s); got.Cats != 1 || got.Dogs == 0 {
			t.Errorf("%s: the new primary's tally is %+v", name, got)
		}
	}
}

func TestSeveralHostsWorkThroughAPromotion(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for name, fail := range map[string]func(*servers.Postgres) error{
		"the primary dies": (*servers.Postgres).Kill, "the primary hangs": (*servers.Postgres).Pause,
	} {
		s, primary, standby := newPair(t, func(primary, standby *servers.Postgres) string {
			both := strings.Replace(primary.URL(), primary.Addr(), primary.Addr()+","+standby.Addr(), 1)
			return both + "&target_session_attrs=read-write"
		})
		first := newEntry(ballot.Cats)
		record(t, s, first)
		fill(t, s)
		testenv.Must(t, errors.Join(fail(primary), standby.Promote(t.Context())))
		pings, tries := 0, 0
		within := func(limit time.Duration, do func(context.Context) error) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return do(ctx)
		}
		for within(time.Second, s.Ping) != nil && pings < 10 { // as a monitor does
			pings++
		}
		for within(2*time.Second, func(ctx context.Context) error {
			_, err := s.Record(ctx, []Entry{first, newEntry(ballot.Dogs)})
			return err
		}) != nil && tries < 10 {
			tries++
		}
		if pings > 4 || tries > 2 { // a ping for each connection of the pool, and one more, would be nine
			t.Errorf("%s: %d pings and %d calls failed", name, pings, tries)
		}
		if got := tally(t, s); got.Cats != 1 || got.Dogs == 0 {
			t.Errorf("%s: tally %+v", name, got)
		}
		testenv.Must(t, primary.Kill()) // the pool takes 15 s to close a connection to a server that hangs
	}
}

// A commit that was cut off while it waited for the standby is visible, and not yet safe.
func TestAVoteThatAStandbyMayLackIsNotTakenForStored(t *testing.T) {
	t.Parallel()
	s, _, standby := newPair(t, func(primary, _ *servers.Postgres) string { return primary.URL() })
	testenv.Must(t, standby.Pause())
	vote := newEntry(ballot.Cats)
	try := func() (Outcome, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return s.Record(ctx, []Entry{vote})
	}
	if out, err := try(); err == nil {
		t.Fatalf("stored without the standby: %+v", out)
	}
	if err := wait.Until(t.Context(), 20*time.Second, func(ctx context.Context) error {
		if got := tally(t, s); got.Cats != 1 {
			return fmt.Errorf("the commit that was cut off is not visible: %+v", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if out, err := try(); err == nil {
		t.Errorf("a vote that only the primary has is taken for stored: %+v", out)
	}
	testenv.Must(t, standby.Resume())
	if out := record(t, s, vote); out != (counts{Redelivered: 1}) {
		t.Errorf("with the standby back: %+v", out)
	}
}

// A connection ends after its lifetime even if it works: it may lead to a server that nobody else uses any more.
func TestConnectionsHaveALifetime(t *testing.T) {
	if cfg := openStore(t, testenv.NewDatabase(t)).pool.Config(); cfg.MaxConnLifetime != connLifetime ||
		cfg.MaxConnLifetimeJitter != connLifetimeJitter {
		t.Errorf("lifetime %v + %v", cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter)
	}
}
