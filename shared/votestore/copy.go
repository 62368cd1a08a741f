package votestore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"petvote/shared/ballot"
)

// copyFrom is the size from which on a batch is copied: a smaller one costs less as one statement.
const copyFrom = 50

// copyPause is how many batches go without COPY after one that could not be copied: the next ones are as likely to
// repeat votes, and each attempt leaves dead rows behind.
const copyPause = 100

// copies reports whether a batch is to be copied. One with an invalid vote is not, so that no statement is made of it.
func (s *Store) copies(entries []Entry) bool {
	return len(entries) >= copyFrom && s.copyPause.Add(-1) < 0 &&
		!slices.ContainsFunc(entries, func(e Entry) bool { return e.Vote.Validate() != nil })
}

// copyStatement begins a message that is one transaction: once PostgreSQL has all rows, it commits without waiting for
// the worker, which may hang. The cast fails if there is a trigger by which a row may be left out.
const copyStatement = `-- record votes
select (tgname || ' may leave rows out')::int from pg_catalog.pg_trigger
  where tgrelid = 'SCHEMA.votes'::regclass and tgtype & 7 = 7; -- before, insert, for each row
copy SCHEMA.votes (id, pet, cast_at, trace_id, entry) from stdin (format binary); `

// copyVotes does what recordStatement does, for votes that are all new, with a third of the work for PostgreSQL. Rows
// are locked in the same order. If the votes can't be copied but perhaps stored otherwise, nothing of them is stored.
func (s *Store) copyVotes(ctx context.Context, entries []Entry) (copied bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	if s.tracer != nil {
		ctx = s.tracer.TraceQueryStart(ctx, conn.Conn(), pgx.TraceQueryStartData{SQL: s.schema.in(copyStatement)})
		defer func() { s.tracer.TraceQueryEnd(ctx, conn.Conn(), pgx.TraceQueryEndData{Err: err}) }()
	}
	if !slices.IsSortedFunc(entries, byID) {
		entries = slices.SortedFunc(slices.Values(entries), byID)
	}
	rows, statements := bytes.NewReader(copyRows(entries)), s.schema.in(copyStatement+countStatements(entries))
	defer s.acquireSlot()()
	_, err = conn.Conn().PgConn().CopyFrom(ctx, rows, statements)
	if mayBeStored(err) {
		return false, nil
	}
	return err == nil, err
}

// endHungStatement ends the sessions of workers that hang before a whole call is sent, since what PostgreSQL got of it
// may lock rows. PostgreSQL itself waits for the rest forever, whatever statement_timeout says, or
// idle_in_transaction_session_timeout. A worker that does not hang has given up a call of that age.
const endHungStatement = `-- end hung sessions
select pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
where usename = current_user and datname = current_database() and query like '-- record votes%' and state = 'active'
  and wait_event = 'ClientRead' and xact_start < now() - interval '5 seconds'`

// endHung may be repeated, so its own errors don't matter.
func (s *Store) endHung(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = s.pool.Exec(ctx, endHungStatement)
}

// acquireTimeout is how long a batch waits for another of this store to be copied: many times as long as that takes,
// but no batch that waits for a lock holds the others up.
const acquireTimeout = 20 * time.Millisecond

// acquireSlot lets batches be copied one after another, so that most ids are added at the end of the index, whose pages
// are full then. Two batches side by side leave half-empty pages behind: 36 instead of 31 bytes for each vote.
func (s *Store) acquireSlot() (release func()) {
	select {
	case s.copySlot <- struct{}{}:
		return func() { <-s.copySlot }
	case <-time.After(acquireTimeout):
		return func() {}
	}
}

// mayBeStored reports an error of COPY that another statement might not meet: a repeated vote, bad data, which it
// reports itself, or a row policy.
func mayBeStored(err error) bool { return IsDataError(err) || inClass(err, "0A") }

func byID(a, b Entry) int { return bytes.Compare(a.Vote.ID[:], b.Vote.ID[:]) }

// copyRows encodes rows as https://www.postgresql.org/docs/current/sql-copy.html describes.
func copyRows(entries []Entry) []byte {
	b := make([]byte, 0, 32+100*len(entries))
	b = append(b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	field := func(value []byte) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
	}
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for i := range entries {
		e := &entries[i]
		b = append(b, 0, 5)
		field(e.Vote.ID[:])
		field([]byte(e.Vote.Pet))
		castAt := uint64(e.Vote.CastAt.UnixMicro() - epoch) // in two's complement
		b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), castAt)
		if trace, sampled := e.storedTrace(); sampled {
			field(trace[:])
		} else {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
		}
		if e.Source == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
		} else {
			field(e.Source)
		}
	}
	return append(b, 0xff, 0xff)
}

// countStatements adds copied votes to the tally and the history, and sends the notice. Its values are known pets,
// numbers and valid traces, so none needs quoting.
func countStatements(entries []Entry) string {
	type bar struct {
		minute int64 // since 1970
		pet    ballot.Choice
	}
	tally, history, oldest := map[ballot.Choice]int{}, map[bar]int{}, entries[0].Vote.CastAt
	for i := range entries {
		v := &entries[i].Vote
		tally[v.Pet]++
		history[bar{v.CastAt.Truncate(time.Minute).Unix() / 60, v.Pet}]++
		if v.CastAt.Before(oldest) {
			oldest = v.CastAt
		}
	}
	var pets, bars []string
	for _, pet := range slices.Sorted(maps.Keys(tally)) {
		pets = append(pets, fmt.Sprintf("('%s', %d)", pet, tally[pet]))
	}
	for _, at := range slices.SortedFunc(maps.Keys(history), func(a, b bar) int {
		return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.pet, b.pet))
	}) {
		bars = append(bars, fmt.Sprintf("(to_timestamp(%d), '%s', %d)", at.minute*60, at.pet, history[at]))
	}
	return intoTally + "values " + strings.Join(pets, ", ") + addToTally + "; " +
		intoHistory + "values " + strings.Join(bars, ", ") + addToHistory +
		fmt.Sprintf("; notify %s, '%s%d%s'", channel, oldestPrefix, oldest.UnixMilli(), noticeTraces(entries))
}
