package votestore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshot identifies the transactions whose changes a statement saw. Times can't: stored_at is the start of a
// transaction, and it may commit after one that started later.
//
// The rules are those of "Transaction ID and Snapshot Information Functions" in
// https://www.postgresql.org/docs/current/functions-info.html. A snapshot knows top-level transactions only, not the
// rows written behind a savepoint; nothing here uses one.
//
// The zero Snapshot sees nothing.
type Snapshot struct {
	xmin, xmax uint64   // ids below xmin had ended, those from xmax on had not
	running    []uint64 // ids between them that had not
}

// ParseSnapshot parses the text of a pg_snapshot, "xmin:xmax:xip,xip".
func ParseSnapshot(text string) (Snapshot, error) {
	var s Snapshot
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Snapshot{}, fmt.Errorf("%q is not a snapshot", text)
	}
	ids := parts[:2:2]
	if parts[2] != "" {
		ids = append(ids, strings.Split(parts[2], ",")...)
	}
	for _, id := range ids {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return Snapshot{}, fmt.Errorf("%q is not a snapshot", text)
		}
		s.running = append(s.running, n)
	}
	s.xmin, s.xmax, s.running = s.running[0], s.running[1], s.running[2:]
	return s, nil
}

// Sees reports whether the snapshot includes a committed transaction, by the id of [Receipt.Transaction].
func (s Snapshot) Sees(transaction uint64) bool {
	return transaction < s.xmin || transaction < s.xmax && !slices.Contains(s.running, transaction)
}

// OlderThan reports whether fewer transactions had begun. A snapshot that is older than one read before it comes from
// another database, such as a restored one, and the two can't be compared.
func (s Snapshot) OlderThan(other Snapshot) bool { return s.xmax < other.xmax }

// widen restores a transaction's 64-bit id. Rows hold its lower 32 bits, which wrap around: widen picks the last id
// before xmax that ends in them, where xmax is that of a snapshot that sees the row. For a row older than 2^32
// transactions that is a later one, and the vote may look as if it had been stored then.
func widen(xid uint32, xmax uint64) uint64 {
	newest := xmax - 1
	return newest - uint64(uint32(newest)-xid)
}
