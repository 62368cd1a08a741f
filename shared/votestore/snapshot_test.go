package votestore

import (
	"testing"

	"github.com/google/uuid"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestASnapshotSeesTheTransactionsThatHadEnded(t *testing.T) {
	const epoch = 3 << 32 // the lower half of the ids has come round three times
	for text, want := range map[string]struct{ seen, unseen []uint64 }{
		"10:20:10,14,15":                      {[]uint64{3, 9, 11, 13, 16, 19}, []uint64{10, 14, 15, 20, 21, 1 << 40}},
		"748:748:":                            {[]uint64{3, 747}, []uint64{748, 749}},
		"12884901880:12884901890:12884901887": {[]uint64{epoch - 9, epoch, epoch + 1}, []uint64{epoch - 1, epoch + 2}},
	} {
		s, err := ParseSnapshot(text)
		testenv.Must(t, err)
		for _, id := range want.seen {
			if !s.Sees(id) {
				t.Errorf("%s does not see %d", text, id)
			}
		}
		for _, id := range want.unseen {
			if s.Sees(id) {
				t.Errorf("%s sees %d", text, id)
			}
		}
	}
	if (Snapshot{}).Sees(0) {
		t.Error("the zero snapshot sees something")
	}
}

func TestAMalformedSnapshotIsRefused(t *testing.T) {
	for _, text := range []string{"", "1", "1:2", "1:2:3:4", ":2:", "1::", "1:2:x", "1:2:3,", "-1:2:", "1:2: "} {
		if s, err := ParseSnapshot(text); err == nil {
			t.Errorf("%q is taken for %+v", text, s)
		}
	}
}

func TestA32BitTransactionIDIsWidenedToTheLatestThatCanBeSeen(t *testing.T) {
	const round = 1 << 32
	for _, c := range []struct {
		xid  uint32
		xmax uint64
		want uint64
	}{
		{747, 748, 747},
		{3, 748, 3},
		{round - 1, round, round - 1},
		{round - 1, round + 5, round - 1}, // written before the ids came round
		{4, round + 5, round + 4},
		{5, round + 5, 5}, // a whole round old: round + 5 is not before xmax
		{round - 1, 7*round + 5, 7*round - 1},
	} {
		if got := widen(c.xid, c.xmax); got != c.want {
			t.Errorf("widen(%d, %d) = %d, want %d", c.xid, c.xmax, got, c.want)
		}
	}
}

// The late vote is written before the first read of the tally, and even before a vote that this read includes, but it
// is committed afterwards.
func TestATallysSnapshotTellsWhichVotesItIncludes(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	tx, err := s.pool.Begin(ctx)
	testenv.Must(t, err)
	defer func() { _ = tx.Rollback(ctx) }() // nothing is left to roll back unless the test fails
	late := uuid.New()
	if _, err := tx.Exec(ctx, `insert into votes (id, pet, cast_at) values ($1, 'dogs', now())`, late); err != nil {
		t.Fatal(err)
	}
	early := newEntry(ballot.Cats)
	record(t, s, early)
	before, err := s.Tally(ctx)
	testenv.Must(t, err)
	testenv.Must(t, tx.Commit(ctx))
	after, err := s.Tally(ctx)
	testenv.Must(t, err)
	receipt := func(id uuid.UUID) Receipt {
		t.Helper()
		r, err := s.Receipt(ctx, id)
		testenv.Must(t, err)
		return r
	}
	was, is := receipt(early.Vote.ID), receipt(late)
	if was.Transaction <= is.Transaction || was.StoredAt.Before(is.StoredAt) {
		t.Errorf("the early vote has transaction %d of %v, the late one %d of %v",
			was.Transaction, was.StoredAt, is.Transaction, is.StoredAt)
	}
	if !before.Snapshot.Sees(was.Transaction) || before.Snapshot.Sees(is.Transaction) {
		t.Errorf("read in between, %+v is wrong about %d or %d", before.Snapshot, was.Transaction, is.Transaction)
	}
	if !after.Snapshot.Sees(was.Transaction) || !after.Snapshot.Sees(is.Transaction) {
		t.Errorf("read at the end, %+v is wrong about %d or %d", after.Snapshot, was.Transaction, is.Transaction)
	}
	record(t, s, newEntry(ballot.Dogs))
	last, err := s.Tally(ctx)
	testenv.Must(t, err)
	if !before.Snapshot.OlderThan(last.Snapshot) || last.Snapshot.OlderThan(before.Snapshot) ||
		last.Snapshot.OlderThan(last.Snapshot) {
		t.Errorf("%+v, read first, and %+v, read last, are in the wrong order", before.Snapshot, last.Snapshot)
	}
}
