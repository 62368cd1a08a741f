package votestream

import (
	"encoding/hex"
	"testing"
)

func TestAnEntrysBytesAreCompactAndExact(t *testing.T) {
	for _, c := range []struct {
		entry Entry
		want  string // hex
	}{
		{Entry{"0", "1795717846018-0"}, "0001a2191fd402"},
		{Entry{"1", "1795717846018-1"}, "0101a2191fd40201"},
		{Entry{"15", "1795717846018-65536"}, "0f01a2191fd402010000"},
		{Entry{"99", "99999999999999-999999999999999999"}, "635af3107a3fff0de0b6b3a763ffff"},
		{Entry{"0", "0-0"}, "00000000000000"},
		{Entry{"100", "1-0"}, "ff" + hex.EncodeToString([]byte("100/1-0"))},
		{Entry{"0", "100000000000000-0"}, "ff" + hex.EncodeToString([]byte("0/100000000000000-0"))},
		{Entry{"0", "1-18446744073709551615"}, "ff" + hex.EncodeToString([]byte("0/1-18446744073709551615"))},
		{Entry{"0", "01-0"}, "ff" + hex.EncodeToString([]byte("0/01-0"))},
		{Entry{}, "ff2f"},
	} {
		b := c.entry.Bytes()
		if got := hex.EncodeToString(b); got != c.want || EntryFromBytes(b) != c.entry {
			t.Errorf("%v: %s, want %s; back: %v", c.entry, got, c.want, EntryFromBytes(b))
		}
	}
	for _, none := range [][]byte{nil, {0}, make([]byte, 6), make([]byte, 16)} {
		if e := EntryFromBytes(none); e != (Entry{}) {
			t.Errorf("%x names %v", none, e)
		}
	}
}

// No two entries have the same bytes, whatever a stream's IDs look like.
func FuzzEntryBytes(f *testing.F) {
	for _, id := range []string{"1795717846018-0", "0-18446744073709551615", "1-", "-1", "", "a/b", "+1-1", "1-1-1"} {
		f.Add(uint8(1), id)
	}
	f.Fuzz(func(t *testing.T, queue uint8, id string) {
		e := Entry{Queue: string(rune('0' + queue%10)), ID: id}
		if back := EntryFromBytes(e.Bytes()); back != e {
			t.Errorf("%v comes back as %v", e, back)
		}
	})
}
