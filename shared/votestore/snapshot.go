package votestore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshot says whose changes a statement saw. Times don't tell that: stored_at is when a transaction began, and it may
// commit after one that began later.
//
// The rules are those of "Transaction ID and Snapshot Information Functions" in
// https://www.postgresql.org/docs/current/functions-info.html. A snapshot has top-level transactions only, so it says
// nothing of rows written behind a savepoint; nothing here uses one.
//
// The zero Snapshot sees nothing.
type Snapshot struct {
	xmin, xmax uint64   // all before xmin have ended; none from xmax on had
	running    []uint64 // those between that had not
}

// ParseSnapshot reads PostgreSQL's text of a pg_snapshot, "xmin:xmax:xip,xip".
func ParseSnapshot(text string) (Snapshot, error) {
	fail := func() (Snapshot, error) { return Snapshot{}, fmt.Errorf("%q is not a snapshot", text) }
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return fail()
	}
	var (
		s   Snapshot
		err error
	)
	if s.xmin, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return fail()
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return fail()
	}
	if parts[2] == "" {
		return s, nil
	}
	for id := range strings.SplitSeq(parts[2], ",") {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return fail()
		}
		s.running = append(s.running, n)
	}
	return s, nil
}

// Sees says whether the changes of a transaction that was committed are in the snapshot; its id is that of
// [Receipt.Transaction].
func (s Snapshot) Sees(transaction uint64) bool {
	return transaction < s.xmin || transaction < s.xmax && !slices.Contains(s.running, transaction)
}

// OlderThan says whether fewer transactions had begun by then. A snapshot that is older than one read before it comes
// from another database, such as a restored one, and the two can't be compared.
func (s Snapshot) OlderThan(other Snapshot) bool { return s.xmax < other.xmax }

// widen gives a transaction's whole id. Rows hold its lower 32 bits, which come round again: of the ids that end in them
// it is the last one before xmax, that of a snapshot which sees the row. For a row that is older than 2^32 transactions
// this names a later one, and the vote may look as if it had been stored then.
func widen(xid uint32, xmax uint64) uint64 {
	newest := xmax - 1
	return newest - uint64(uint32(newest)-xid)
}
