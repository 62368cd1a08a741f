package votestream

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
)

// escape precedes the text of an entry whose numbers do not fit the compact form.
const escape = 0xff

// Bytes returns the entry in a compact form, which [EntryFromBytes] reverses and no other entry has: one byte for the
// queue, six for the milliseconds, and the sequence's bytes without leading zeros. For numbers that Redis would write
// in another way, or of more than 14 digits (18 in the sequence), it is a byte 0xff and the text.
func (e Entry) Bytes() []byte {
	ms, sequence, _ := strings.Cut(e.ID, "-")
	var numbers [3]uint64
	for i, part := range []struct {
		text   string
		digits int
	}{{e.Queue, 2}, {ms, 14}, {sequence, 18}} {
		n, err := strconv.ParseUint(part.text, 10, 64)
		if err != nil || len(part.text) > part.digits || strconv.FormatUint(n, 10) != part.text {
			return append([]byte{escape}, e.String()...)
		}
		numbers[i] = n
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 17), numbers[0]<<48|numbers[1])[1:]
	last := binary.BigEndian.AppendUint64(nil, numbers[2])
	return append(b, last[bits.LeadingZeros64(numbers[2])/8:]...)
}

// EntryFromBytes is the inverse of Bytes. Other bytes give an entry that names none.
func EntryFromBytes(b []byte) Entry {
	switch {
	case len(b) > 0 && b[0] == escape:
		queue, id, _ := strings.Cut(string(b[1:]), "/")
		return Entry{queue, id}
	case len(b) < 7 || len(b) > 15:
		return Entry{}
	}
	number := func(b []byte) (n uint64) {
		for _, next := range b {
			n = n<<8 | uint64(next)
		}
		return n
	}
	text := func(b []byte) string { return strconv.FormatUint(number(b), 10) }
	return Entry{text(b[:1]), text(b[1:7]) + "-" + text(b[7:])}
}
