package votestore

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"petvote/shared/ballot"
)

// newBatch returns votes over several minutes, not in the order of their ids, of which every tenth is traced.
func newBatch(n int) []Entry {
	batch := make([]Entry, n)
	for i := range batch {
		batch[i] = newEntry(ballot.Choices()[i%3])
		batch[i].Vote.CastAt = time.Date(2026, 1, 2, 3, i%4, 59, 123456000, time.UTC)
		batch[i].Trace.Parent = fmt.Sprintf("00-%032x-00f067aa0ba902b7-%02d", i+1, min(1, i%10)^1)
	}
	slices.Reverse(batch)
	return batch
}

// A batch is copied from copyFrom on; below it every vote is inserted.
func TestACopiedBatchIsLikeAnInsertedOne(t *testing.T) {
	for n, copied := range map[int]bool{copyFrom - 1: false, copyFrom: true, 3000: true} {
		s := newStore(t)
		sub, batch := subscribe(t, s), newBatch(n)
		if out := record(t, s, batch...); out != (counts{Stored: n}) {
			t.Errorf("%d votes: %+v", n, out)
		}
		if got := s.copyPause.Load() < 0; got != copied {
			t.Errorf("%d votes: copied: %v", n, got)
		}
		var want ballot.Counts
		bars := make([]ballot.Counts, 4)
		traced := 0
		for i, e := range batch {
			want.Add(e.Vote.Pet, 1)
			bars[e.Vote.CastAt.Minute()].Add(e.Vote.Pet, 1)
			id := ""
			if e.Trace.Sampled() {
				id, traced = e.Trace.TraceID(), traced+1
			}
			if i%100 > 0 {
				continue
			}
			r, err := s.Receipt(t.Context(), e.Vote.ID)
			if err != nil || r.Vote != e.Vote || r.TraceID != id || !bytes.Equal(r.Source, e.Source) ||
				time.Since(r.StoredAt).Abs() > time.Hour {
				t.Errorf("%d votes: %+v is stored as %+v, %v", n, e, r, err)
			}
		}
		history, err := s.History(t.Context(), time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC))
		got := make([]ballot.Counts, 0, 4)
		for _, m := range history {
			got = append(got, m.Counts)
		}
		if err != nil || tally(t, s) != want || !slices.Equal(got, bars) {
			t.Errorf("%d votes: tally %+v, history %+v, %v", n, tally(t, s), history, err)
		}
		notice, err := sub.Next(t.Context())
		if err != nil || len(notice.Traces) != min(traced, maxNoticeTraces) || notice.Oldest.Minute() != 0 {
			t.Errorf("%d votes: notice %+v, %v", n, notice, err)
		}
		if out := record(t, s, batch...); out != (counts{Redelivered: n}) {
			t.Errorf("%d votes, delivered again: %+v", n, out)
		}
	}
}

func TestABatchThatCannotBeCopiedIsInserted(t *testing.T) {
	s := newStore(t)
	first := newBatch(copyFrom)
	record(t, s, first...)
	again := newEntry(ballot.Dogs)
	again.Vote.ID = first[7].Vote.ID
	mixed := append(newBatch(copyFrom), again, first[3])
	if out := record(t, s, mixed...); out != (counts{Stored: copyFrom, Duplicates: 1, Redelivered: 1}) {
		t.Errorf("with a repetition and a redelivery: %+v", out)
	}
	if s.copyPause.Load() != copyPause {
		t.Error("the next batches are copied")
	}

	s.copyPause.Store(0)
	bad := append(newBatch(copyFrom), newEntry("birds"))
	if _, err := s.Record(t.Context(), bad); !IsDataError(err) || tally(t, s).Total() != 2*copyFrom {
		t.Errorf("with a vote for birds: %v, tally %+v", err, tally(t, s))
	}

	// A trigger that drops rows: a vote without a row must not count.
	s.copyPause.Store(0)
	execute(t, s.pool.Config().ConnString(), `
		create function no_cats() returns trigger language plpgsql as $$ begin
			return case when new.pet <> 'cats' then new end;
		end $$;
		create trigger no_cats before insert on votes for each row execute function no_cats()`)
	before := tally(t, s)
	record(t, s, newBatch(60)...)
	if got := tally(t, s); got.Total() != before.Total()+40 || got.Cats != before.Cats {
		t.Errorf("with a trigger against cats: tally %+v after %+v", got, before)
	}
}
