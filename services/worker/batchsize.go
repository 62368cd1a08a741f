package main

import "time"

// storeTimeout bounds one attempt to store a batch.
const storeTimeout = 5 * time.Second

// batchSize is the number of entries that a consumer takes at once. How many a database stores within storeTimeout is
// found out: the size starts at a sixteenth of the maximum (BATCH_SIZE), and
//
//   - a batch that times out, or can't be read, quarters it;
//   - a full batch that is stored lets it grow, at most to double, as long as the next batch takes no more than four
//     fifths of storeTimeout at the same pace.
//
// A single entry that times out changes nothing: a smaller batch would not help it.
type batchSize struct{ now, most int }

func newBatchSize(most int) batchSize { return batchSize{now: max(1, most/16), most: most} }

// smaller is the size after a batch of n entries that timed out.
func smaller(n int) int { return max(1, n/4) }

// failed adapts the size to a batch of n entries that timed out.
func (s *batchSize) failed(n int) {
	if n > 1 {
		s.now = smaller(n)
	}
}

// stored adapts the size to a batch of n entries that took so long.
func (s *batchSize) stored(n int, took time.Duration) {
	if n < s.now {
		return // it says little about a full one
	}
	const longest = storeTimeout * 4 / 5
	grown := 2 * s.now
	if took > time.Duration(n)*longest/time.Duration(grown) {
		grown = max(s.now, int(time.Duration(n)*longest/took))
	}
	s.now = min(grown, s.most)
}
