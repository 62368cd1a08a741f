package votestore

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

// Entry is a vote to store.
type Entry struct {
	Vote   ballot.Vote
	Source []byte                    // names the stream entry that brought it; no other has the same
	Trace  tracecontext.TraceContext // if sampled, its id is stored with the vote, and it is passed on in the notice
}

// Outcome counts the entries of one call by their outcome.
type Outcome struct {
	Stored      int // new votes
	Duplicates  int // entries with the id of a vote that another entry brought
	Redelivered int // entries that an earlier call handled

	NewEntries map[string]bool // by Source, the entries that brought new votes; nil if all or none did
}

// New reports whether an entry brought a new vote.
func (o Outcome) New(source []byte) bool {
	return o.Duplicates+o.Redelivered == 0 || o.NewEntries[string(source)]
}

// Both ways to store a batch count it with these.
const (
	intoTally    = `insert into SCHEMA.tally (pet, votes) `
	addToTally   = ` on conflict (pet) do update set votes = tally.votes + excluded.votes`
	intoHistory  = `insert into SCHEMA.history (minute, pet, votes) `
	addToHistory = ` on conflict (minute, pet) do update set votes = history.votes + excluded.votes`
)

// recordStatement stores the new votes of a batch and updates everything derived from them, as one transaction.
// Concurrent batches wait for one another but never deadlock: rows are inserted in the order of their ids, and the
// tally's rows are written in order before the history's are touched. A row of the tally that is missing, as after a
// truncate, is made anew. Of votes under one id the first counts.
const recordStatement = `-- record votes
with batch as (
  select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::bytea[])
    with ordinality as b (id, pet, cast_at, trace_id, entry, n)
), fresh as (
  insert into SCHEMA.votes (id, pet, cast_at, trace_id, entry)
  select id, pet::SCHEMA.pet, cast_at, trace_id, entry from batch order by id, n
  on conflict (id) do nothing
  returning pet::text, cast_at, entry
), counted as (
  ` + intoTally + `select pet, count(*) from fresh group by pet order by pet` + addToTally + `
  returning pet
), charted as (
  ` + intoHistory + `select date_trunc('minute', cast_at) as minute, pet, count(*)
  from fresh join counted using (pet) group by minute, pet order by minute, pet` + addToHistory + `
)
select (select count(*) from fresh),
  (select array_agg(entry) from fresh where (select count(*) from fresh) < cardinality($1::uuid[])),
  (select pg_notify('` + channel + `', '` + oldestPrefix + `' || floor(extract(epoch from min(cast_at)) * 1000)::bigint
     || $6)::text from fresh having count(*) > 0)`

// duplicatesStatement notes the entries of a batch that repeat another entry's vote. It may be repeated, for a day:
// then it forgets them, so that a client that repeats a key for ever fills no disk. It always writes, if only the old
// number of duplicates, because only a commit that writes waits for a synchronous standby: the votes of the batch that
// are stored already may be on the primary alone, if the call that stored them was cut off.
const duplicatesStatement = `-- note duplicates
with late as (
  select b.entry, b.id
  from unnest($1::uuid[], $2::bytea[]) as b (id, entry) join SCHEMA.votes using (id)
  where votes.entry is distinct from b.entry
), noted as (
  insert into SCHEMA.duplicates (entry, vote_id) select entry, id from late order by entry
  on conflict (entry) do nothing
  returning entry
), counted as (
  update SCHEMA.duplicate_count set n = duplicate_count.n + new.n from (select count(*) as n from noted) as new
), expired as (
  delete from SCHEMA.duplicates where entry in (
    select entry from SCHEMA.duplicates where seen_at < now() - interval '1 day'
    order by seen_at limit 10000 for update skip locked)
)
select count(*) from noted`

// Record stores votes, each once by its id, adds the new ones to the tally and the history, and sends a notice if there
// were any. After nil all of that is durable; after an error it may be repeated with the same entries. If PostgreSQL
// refuses the data of one entry ([IsDataError]), nothing of the batch is stored.
func (s *Store) Record(ctx context.Context, entries []Entry) (Outcome, error) {
	out, err := s.record(ctx, entries)
	if IsTimeout(err) {
		s.endHung(ctx)
	}
	return out, err
}

func (s *Store) record(ctx context.Context, entries []Entry) (Outcome, error) {
	n := len(entries)
	if n == 0 {
		return Outcome{}, nil
	}
	if s.copies(entries) {
		copied, err := s.copyVotes(ctx, entries)
		if err != nil {
			return Outcome{}, fmt.Errorf("record votes: %w", err)
		}
		if copied {
			return Outcome{Stored: n}, nil
		}
		s.copyPause.Store(copyPause)
	}
	ids := make(pgtype.FlatArray[pgtype.UUID], n) // pgx sends other types as text
	traces, sources := make(pgtype.FlatArray[pgtype.UUID], n), make([][]byte, n)
	pets, castAt := make([]string, n), make([]time.Time, n)
	for i, e := range entries {
		ids[i], sources[i] = pgtype.UUID{Bytes: e.Vote.ID, Valid: true}, e.Source
		pets[i], castAt[i] = string(e.Vote.Pet), e.Vote.CastAt
		traces[i].Bytes, traces[i].Valid = e.storedTrace()
	}
	var (
		out    Outcome
		fresh  [][]byte
		unused *string
	)
	err := s.pool.QueryRow(ctx, s.schema.in(recordStatement), ids, pets, castAt, traces, sources, noticeTraces(entries)).
		Scan(&out.Stored, &fresh, &unused)
	if err != nil {
		return Outcome{}, fmt.Errorf("record votes: %w", err)
	}
	if out.Stored < n {
		if err := s.pool.QueryRow(ctx, s.schema.in(duplicatesStatement), ids, sources).Scan(&out.Duplicates); err != nil {
			return Outcome{}, fmt.Errorf("note duplicates: %w", err)
		}
		out.Redelivered = n - out.Stored - out.Duplicates
		for _, source := range fresh {
			if out.NewEntries == nil {
				out.NewEntries = make(map[string]bool, len(fresh))
			}
			out.NewEntries[string(source)] = true
		}
	}
	return out, nil
}

// storedTrace returns the id of the entry's trace, and whether it is sampled: under another nothing can be found.
func (e Entry) storedTrace() (id [16]byte, sampled bool) {
	if sampled = e.Trace.Sampled(); sampled {
		_, _ = hex.Decode(id[:], []byte(e.Trace.TraceID())) // a valid trace's id is hex
	}
	return id, sampled
}

// oldestPrefix precedes [Notice].Oldest, in ms since 1970.
const oldestPrefix = "oldest="

// maxNoticeTraces bounds the traces in a notice; PostgreSQL's limit of 8,000 bytes would hold 142.
const maxNoticeTraces = 64

// noticeTraces returns the rest of the payload, after [Notice].Oldest: the traceparents of the sampled traces, each
// after a space.
func noticeTraces(entries []Entry) string {
	var text strings.Builder
	n := 0
	for _, e := range entries {
		if e.Trace.Sampled() && n < maxNoticeTraces {
			text.WriteByte(' ')
			text.WriteString(e.Trace.Parent)
			n++
		}
	}
	return text.String()
}
