package votestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := c.Open(t.Context(), 8, nil)
	testenv.Must(t, err)
	t.Cleanup(s.Close)
	return s
}

func openStore(t testing.TB, url string) *Store {
	t.Helper()
	return open(t, Config{URL: DatabaseURL(url)})
}

// newStore returns a store of a new database with all tables.
func newStore(t testing.TB) *Store {
	t.Helper()
	s := openStore(t, testenv.NewDatabase(t))
	migrate(t, s)
	return s
}

var entryCount atomic.Int64

func newEntry(pet ballot.Choice) Entry {
	return Entry{
		Vote:   ballot.Vote{ID: uuid.Must(uuid.NewV7()), Pet: pet, CastAt: time.Now().UTC().Truncate(time.Microsecond)},
		Source: binary.BigEndian.AppendUint64(nil, uint64(entryCount.Add(1))),
	}
}

type counts struct{ Stored, Duplicates, Redelivered int }

// record stores entries and checks that the outcome names as many new entries as it counts.
func record(t *testing.T, s *Store, entries ...Entry) counts {
	t.Helper()
	out, err := s.Record(t.Context(), entries)
	testenv.Must(t, err)
	fresh := 0
	for _, e := range entries {
		if out.New(e.Source) {
			fresh++
		}
	}
	if fresh != out.Stored {
		t.Errorf("%d entries are new, %d stored", fresh, out.Stored)
	}
	return counts{out.Stored, out.Duplicates, out.Redelivered}
}

func subscribe(t *testing.T, s *Store) *Subscription {
	t.Helper()
	sub, err := s.Subscribe(t.Context())
	testenv.Must(t, err)
	t.Cleanup(func() { _ = sub.Close() }) // fails where the test has broken the connection
	return sub
}

func tally(t *testing.T, s *Store) ballot.Counts {
	t.Helper()
	read, err := s.Tally(t.Context())
	testenv.Must(t, err)
	return read.Counts
}

func TestRecordKeepsTallyHistoryAndRowsInStep(t *testing.T) {
	s := newStore(t)
	a, b, c := newEntry(ballot.Dogs), newEntry(ballot.Dogs), newEntry(ballot.Lizards)
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a.Vote.CastAt = minute.Add(59 * time.Second)
	b.Vote.CastAt, c.Vote.CastAt = minute.Add(60*time.Second), minute.Add(119*time.Second)
	if out := record(t, s, a, b, c); out != (counts{Stored: 3}) {
		t.Errorf("outcome %+v", out)
	}
	if got := tally(t, s); got != (ballot.Counts{Dogs: 2, Lizards: 1}) {
		t.Errorf("tally %+v", got)
	}
	history, err := s.History(t.Context(), minute.Add(30*time.Second))
	want := []Minute{{minute, ballot.Counts{Dogs: 1}}, {minute.Add(time.Minute), ballot.Counts{Dogs: 1, Lizards: 1}}}
	if err != nil || !slices.Equal(history, want) {
		t.Errorf("history %+v, %v", history, err)
	}
	if rest, err := s.History(t.Context(), minute.Add(time.Minute)); err != nil || len(rest) != 1 {
		t.Errorf("history from the second minute: %+v, %v", rest, err)
	}
}

func TestAVoteCountsOnceHoweverOftenItIsDelivered(t *testing.T) {
	s := newStore(t)
	first := newEntry(ballot.Cats)
	record(t, s, first)
	if out := record(t, s, first); out != (counts{Redelivered: 1}) {
		t.Errorf("the same entry again: %+v", out)
	}
	var repeats []Entry
	for range 1000 {
		e := newEntry(ballot.Dogs) // a repeat can't change the choice
		e.Vote.ID = first.Vote.ID
		repeats = append(repeats, e)
	}
	if out := record(t, s, repeats...); out != (counts{Duplicates: 1000}) {
		t.Errorf("1,000 repeats of the key: %+v", out)
	}
	out := record(t, s, append(repeats[:10:10], newEntry(ballot.Cats), first)...)
	if out != (counts{Stored: 1, Redelivered: 11}) {
		t.Errorf("repeats delivered again: %+v", out)
	}
	if got := tally(t, s); got != (ballot.Counts{Cats: 2}) {
		t.Errorf("tally %+v", got)
	}
	if st, err := s.Stats(t.Context()); err != nil || st != (Stats{Stored: 2, Duplicates: 1000}) {
		t.Errorf("stats %+v, %v", st, err)
	}
}

func TestRepetitionsAreForgottenAfterADayButStayCounted(t *testing.T) {
	s := newStore(t)
	first := newEntry(ballot.Cats)
	repeat := func() Entry {
		e := newEntry(ballot.Cats)
		e.Vote.ID = first.Vote.ID
		return e
	}
	old := []Entry{repeat(), repeat(), repeat()}
	record(t, s, append(old, first)...)
	execute(t, s.pool.Config().ConnString(), `update duplicates set seen_at = now() - interval '25 hours'`)
	if out := record(t, s, old[0], repeat()); out != (counts{Duplicates: 1, Redelivered: 1}) {
		t.Errorf("an old repetition, delivered again, and a new one: %+v", out)
	}
	var kept int64
	err := s.pool.QueryRow(t.Context(), `select count(*) from duplicates`).Scan(&kept)
	st, failed := s.Stats(t.Context())
	if err != nil || failed != nil || kept != 1 || st != (Stats{Stored: 1, Duplicates: 4}) {
		t.Errorf("%d rows kept, %+v; %v, %v", kept, st, err, failed)
	}
}

func TestTotalsEndAtTheLargestNumber(t *testing.T) {
	s := newStore(t)
	if _, err := s.pool.Exec(t.Context(), `update tally set votes = $1`, int64(math.MaxInt64)); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Stored != math.MaxInt64 || tally(t, s).Total() != math.MaxInt64 {
		t.Errorf("%+v, %+v, %v", st, tally(t, s), err)
	}
}

func TestTheFirstVoteUnderAKeyCountsWithinABatchToo(t *testing.T) {
	s := newStore(t)
	var first, second []Entry
	for range 500 {
		a, b := newEntry(ballot.Dogs), newEntry(ballot.Cats)
		b.Vote.ID = a.Vote.ID
		first, second = append(first, a), append(second, b)
	}
	if out := record(t, s, append(first, second...)...); out != (counts{Stored: 500, Duplicates: 500}) {
		t.Errorf("outcome %+v", out)
	}
	if got := tally(t, s); got != (ballot.Counts{Dogs: 500}) {
		t.Errorf("tally %+v, want the first one of each key", got)
	}
}

// Overlapping batches, in any order and at once, must neither deadlock nor count twice.
func TestConcurrentOverlappingBatchesAddUp(t *testing.T) {
	s := newStore(t)
	const votes, workers = 600, 6
	all := make([]Entry, votes)
	for i := range all {
		all[i] = newEntry(ballot.Choices()[i%3])
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		sum     Outcome
	)
	for worker := range workers {
		running.Go(func() {
			for i := range votes / 20 {
				start := (i*20 + worker*100) % votes
				batch := slices.Clone(all[start:min(start+2*copyFrom, votes)])
				if worker%2 == 1 {
					slices.Reverse(batch)
				}
				out, err := s.Record(t.Context(), batch)
				if err != nil {
					t.Errorf("worker %d: %v", worker, err)
				}
				mu.Lock()
				sum.Stored, sum.Duplicates = sum.Stored+out.Stored, sum.Duplicates+out.Duplicates
				mu.Unlock()
			}
		})
	}
	running.Wait()
	want := ballot.Counts{Dogs: votes / 3, Cats: votes / 3, Lizards: votes / 3}
	if got := tally(t, s); got != want || sum.Stored != votes || sum.Duplicates != 0 {
		t.Errorf("tally %+v, outcomes %+v", got, sum)
	}
}

func TestADataErrorStoresNothing(t *testing.T) {
	s := newStore(t)
	bad := newEntry("birds") // the schema refuses it even if a worker does not
	_, err := s.Record(t.Context(), []Entry{newEntry(ballot.Dogs), bad})
	if !IsDataError(err) || !IsPermanent(err) {
		t.Errorf("err = %v", err)
	}
	early := newEntry(ballot.Dogs)
	early.Vote.CastAt = time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := s.Record(t.Context(), []Entry{early}); !IsDataError(err) {
		t.Errorf("a time that PostgreSQL can't hold: %v", err)
	}
	if got := tally(t, s); got.Total() != 0 {
		t.Errorf("tally %+v", got)
	}
}

func TestOnlyDataErrorsAndMissingVotesArePermanent(t *testing.T) {
	for code, permanent := range map[string]bool{"22021": true, "23514": true, "21000": true, "40P01": false,
		"53300": false, "57P01": false, "42P01": false, "25006": false, "53100": false} {
		if got := IsPermanent(fmt.Errorf("record: %w", &pgconn.PgError{Code: code})); got != permanent {
			t.Errorf("%s is permanent: %v", code, got)
		}
	}
	if IsPermanent(errors.New("connection refused")) || !IsPermanent(ErrNoVote) {
		t.Error("a broken connection or a missing row is taken for the other")
	}
}

func TestRefusalsOfSomeEntriesAreToldFromThoseOfAll(t *testing.T) {
	for code, some := range map[string]bool{"P0001": true, "42501": true, "44000": true, "54000": true, "XX001": true,
		"57014": true, "55P03": true, "42P01": false, "53100": false, "57P01": false, "25006": false, "40P01": false} {
		if got := IsOfSomeEntries(fmt.Errorf("record: %w", &pgconn.PgError{Code: code})); got != some {
			t.Errorf("%s: %v", code, got)
		}
	}
}

// A vote that is stored counts, though somebody has emptied the tally.
func TestATruncatedTallyGoesOnCounting(t *testing.T) {
	s := newStore(t)
	record(t, s, newEntry(ballot.Dogs), newEntry(ballot.Cats))
	if _, err := s.pool.Exec(t.Context(), `truncate tally, duplicate_count`); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st != (Stats{}) || tally(t, s) != (ballot.Counts{}) {
		t.Errorf("empty: %+v, %v", st, err)
	}
	record(t, s, newEntry(ballot.Dogs), newEntry(ballot.Dogs))
	if got := tally(t, s); got != (ballot.Counts{Dogs: 2}) {
		t.Errorf("tally %+v", got)
	}
}

// Poolers are often given these, and each must work.
func TestEveryModeOfExecutionStoresAndReads(t *testing.T) {
	url := testenv.NewDatabase(t)
	migrate(t, openStore(t, url))
	for i, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		s, e := openStore(t, url+"&default_query_exec_mode="+mode), newEntry(ballot.Dogs)
		again := newEntry(ballot.Dogs)
		again.Vote.ID = e.Vote.ID
		out, err := s.Record(t.Context(), []Entry{e, again})
		copied, copyErr := s.Record(t.Context(), newBatch(copyFrom))
		_, receiptErr := s.Receipt(t.Context(), e.Vote.ID)
		minutes, historyErr := s.History(t.Context(), e.Vote.CastAt)
		_, inspectErr := s.Inspect(t.Context())
		_, statsErr := s.Stats(t.Context())
		err = errors.Join(err, copyErr, receiptErr, historyErr, inspectErr, statsErr)
		if err != nil || out.Stored != 1 || copied.Stored != copyFrom {
			t.Errorf("%s: %+v, %+v, %v", mode, out, copied, err)
		}
		if len(minutes) == 0 || tally(t, s).Total() != int64(i+1)*(1+copyFrom) {
			t.Errorf("%s: %+v, %+v", mode, minutes, tally(t, s))
		}
	}
}

func TestErrorsOfMigrationsAreToldApart(t *testing.T) {
	for code, want := range map[string][3]bool{ // wrong, a right is missing, refused
		"42601": {true}, "42P07": {true}, "0A000": {true}, "22P02": {true}, "23502": {true}, "P0001": {true},
		"42501": {1: true}, "28P01": {2: true}, "3D000": {2: true}, "57P03": {}, "53300": {}, "55P03": {}, "25006": {},
	} {
		err := fmt.Errorf("migrate: %w", &pgconn.PgError{Code: code})
		if got := [3]bool{IsWrongMigration(err), IsMissingRight(err), IsRefused(err)}; got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}

func TestASlowStatementIsATimeout(t *testing.T) {
	s := newStore(t)
	url := s.pool.Config().ConnString()
	execute(t, url, `
		create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return new; end $$;
		create trigger slow before insert on votes for each row execute function slow()`)
	brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Record(brief, []Entry{newEntry(ballot.Dogs)}); !IsTimeout(err) {
		t.Errorf("the context's: %v", err)
	}
	limited := openStore(t, url+"&statement_timeout=100ms")
	if _, err := limited.Record(t.Context(), []Entry{newEntry(ballot.Dogs)}); !IsTimeout(err) {
		t.Errorf("the server's: %v", err)
	}
	for _, err := range []error{errors.New("connection refused"), &pgconn.PgError{Code: "23514"}, nil} {
		if IsTimeout(err) {
			t.Errorf("%v is a time-out", err)
		}
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	testenv.Must(t, err)
	defer nobody.Close()
	hung := openStore(t, "postgres://"+nobody.Addr().String()+"/petvote?sslmode=disable")
	if err := hung.Ping(t.Context()); err == nil || IsTimeout(err) {
		t.Errorf("a connection that can't be made: %v", err)
	}
}

func TestAReceiptIsTheStoredVote(t *testing.T) {
	s := newStore(t)
	e := newEntry(ballot.Lizards)
	e.Trace.Parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled := newEntry(ballot.Dogs)
	unsampled.Trace.Parent = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	before := time.Now().Add(-time.Second)
	record(t, s, e, unsampled)
	r, err := s.Receipt(t.Context(), e.Vote.ID)
	if err != nil || r.Vote != e.Vote || r.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || r.StoredAt.Before(before) ||
		!bytes.Equal(r.Source, e.Source) {
		t.Errorf("receipt %+v, %v", r, err)
	}
	if r, err := s.Receipt(t.Context(), unsampled.Vote.ID); err != nil || r.TraceID != "" {
		t.Errorf("a trace that is recorded nowhere: %+v, %v", r, err)
	}
	if _, err := s.Receipt(t.Context(), uuid.New()); !errors.Is(err, ErrNoVote) {
		t.Errorf("a vote nobody cast: %v", err)
	}
}

func TestANoticeFollowsEveryChangeAndNothingElse(t *testing.T) {
	s := newStore(t)
	sub := subscribe(t, s)
	traced := newEntry(ballot.Dogs)
	traced.Trace.Parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	silent := newEntry(ballot.Dogs)
	silent.Trace.Parent = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	silent.Vote.CastAt = silent.Vote.CastAt.Add(-time.Minute)
	record(t, s, traced, silent)
	n, err := sub.Next(t.Context())
	oldest := silent.Vote.CastAt.Truncate(time.Millisecond)
	if err != nil || len(n.Traces) != 1 || n.Traces[0].Parent != traced.Trace.Parent || !n.Oldest.Equal(oldest) {
		t.Errorf("notice %+v, %v", n, err)
	}
	fresh := newEntry(ballot.Cats)
	record(t, s, silent, fresh) // the oldest of the new votes
	if n, err := sub.Next(t.Context()); err != nil || !n.Oldest.Equal(fresh.Vote.CastAt.Truncate(time.Millisecond)) {
		t.Errorf("notice %+v, %v, want the oldest at %v", n, err, fresh.Vote.CastAt)
	}
	record(t, s, traced) // nothing new
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if n, err := sub.Next(ctx); err == nil {
		t.Errorf("a notice without a change: %+v", n)
	}
}

func TestANoticeCarriesABoundedNumberOfTraces(t *testing.T) {
	s := newStore(t)
	sub := subscribe(t, s)
	var batch []Entry
	for i := range 500 {
		e := newEntry(ballot.Dogs)
		e.Trace.Parent = fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e%04x-00f067aa0ba902b7-01", i)
		batch = append(batch, e)
	}
	record(t, s, batch...)
	if n, err := sub.Next(t.Context()); err != nil || len(n.Traces) != maxNoticeTraces {
		t.Errorf("%d traces, %v", len(n.Traces), err)
	}
}

func TestNoticesThatAPoolerLosesAreMissed(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgres(t)
	pooler := testenv.NewPgBouncer(t, server.Addr())
	for name, c := range map[string]struct {
		listen string
		want   error
	}{
		"through the pooler": {"", ErrNoNotices},
		"past it":            {server.URL(), nil},
	} {
		s := open(t, Config{URL: DatabaseURL(pooler.URL()), ListenURL: DatabaseURL(c.listen)})
		if err := subscribe(t, s).Check(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestACheckLosesNoNotice(t *testing.T) {
	s := newStore(t)
	sub, other := subscribe(t, s), subscribe(t, s)
	record(t, s, newEntry(ballot.Dogs))
	for range 3 {
		testenv.Must(t, sub.Check(t.Context()))
	}
	for _, each := range []*Subscription{sub, other} {
		if n, err := each.Next(t.Context()); err != nil || n.Oldest.IsZero() {
			t.Errorf("notice %+v, %v", n, err)
		}
	}
}

func TestASubscriptionEndsWhenPostgresHangsOrDies(t *testing.T) {
	t.Parallel()
	server := testenv.NewPostgres(t)
	s := openStore(t, server.URL())
	ctx, cancel := context.WithTimeout(t.Context(), 4*(checkAfter+arrivalTimeout))
	defer cancel()
	for name, fail := range map[string]struct{ begin, end func() error }{
		"hangs": {server.Pause, server.Resume},
		"dies":  {server.Kill, func() error { return server.Start(t.Context()) }},
	} {
		sub := subscribe(t, s)
		testenv.Must(t, fail.begin())
		if _, err := sub.Next(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("when PostgreSQL %s: %v", name, err)
		}
		testenv.Must(t, fail.end())
	}
}
