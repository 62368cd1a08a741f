package main

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"petvote/shared/votestream"
)

func TestABatchsTimeDecidesOnTheNextSize(t *testing.T) {
	for name, c := range map[string]struct {
		size batchSize
		n    int
		took time.Duration // of a batch that was stored; 0: it timed out
		want int
	}{
		"the start":                          {newBatchSize(2000), 0, time.Second, 125},
		"the start of a small maximum":       {newBatchSize(3), 0, time.Second, 1},
		"quick: it doubles":                  {batchSize{125, 2000}, 125, time.Millisecond, 250},
		"up to the maximum":                  {batchSize{1500, 2000}, 1500, time.Millisecond, 2000},
		"no time at all":                     {batchSize{125, 2000}, 125, time.Nanosecond, 250},
		"a batch that was not full":          {batchSize{125, 2000}, 124, time.Millisecond, 125},
		"it doubles to four fifths":          {batchSize{100, 2000}, 100, 2 * time.Second, 200},
		"it grows to four fifths":            {batchSize{100, 2000}, 100, 3200 * time.Millisecond, 125},
		"it stays beyond four fifths":        {batchSize{100, 2000}, 100, 4900 * time.Millisecond, 100},
		"a wait for PostgreSQL: it stays":    {batchSize{100, 2000}, 100, time.Hour, 100},
		"timed out: a quarter of it":         {batchSize{2000, 2000}, 1000, 0, 250},
		"a few timed out":                    {batchSize{2000, 2000}, 3, 0, 1},
		"one alone timed out: nothing new":   {batchSize{500, 2000}, 1, 0, 500},
		"one alone timed out at the minimum": {batchSize{1, 2000}, 1, 0, 1},
	} {
		if c.took == 0 {
			c.size.failed(c.n)
		} else {
			c.size.stored(c.n, c.took)
		}
		if c.size.now != c.want {
			t.Errorf("%s: %d, want %d", name, c.size.now, c.want)
		}
	}
}

// database is a queue and a database that needs its time for each statement and for each row. A statement that takes
// longer than storeTimeout is cut off and stores nothing.
type database struct {
	statement, row time.Duration
	locked         string // a row that can't be stored before unlocked
	unlocked       time.Time
	queue          []arrival
	stored         map[string]time.Time
	statements     int
}

type arrival struct {
	entry votestream.Delivery
	at    time.Time
}

func (d *database) Hold(_ context.Context, batch []votestream.Delivery) ([]votestream.Delivery, error) {
	return batch, nil
}

func (d *database) Next(ctx context.Context, n int, wait bool) (batch []votestream.Delivery, err error) {
	arrived := func() bool { return len(d.queue) > 0 && !d.queue[0].at.After(time.Now()) }
	if wait && !arrived() {
		pause(ctx, time.Second)
	}
	for ; arrived() && len(batch) < n; d.queue = d.queue[1:] {
		batch = append(batch, d.queue[0].entry)
	}
	return batch, nil
}

func (d *database) process(ctx context.Context, batch []votestream.Delivery) error {
	if len(batch) == 0 {
		return nil
	}
	d.statements++
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	takes := d.statement + time.Duration(len(batch))*d.row
	for _, one := range batch {
		if one.EntryID == d.locked && time.Now().Before(d.unlocked) {
			takes = time.Hour
		}
	}
	if pause(ctx, takes); ctx.Err() != nil {
		return fmt.Errorf("record votes: %w", ctx.Err())
	}
	for _, one := range batch {
		if _, twice := d.stored[one.EntryID]; twice {
			return fmt.Errorf("%s is stored twice", one.EntryID)
		}
		d.stored[one.EntryID] = time.Now()
	}
	return nil
}

// arrive adds n entries to the queue, at intervals.
func (d *database) arrive(prefix string, n int, first time.Time, every time.Duration) {
	for i := range n {
		one := batch(fmt.Sprint(prefix, i))[0]
		d.queue = append(d.queue, arrival{one, first.Add(time.Duration(i) * every)})
	}
}

// work runs a consumer of a size for a while.
func (d *database) work(size batchSize, lasts time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	nop := func(context.Context) error { return nil }
	consume(ctx, []consumer{{source: d, process: d.process, storeUp: nop, connect: nop, size: size}}, func() {})
}

func TestABacklogDrainsAtTheSpeedOfTheDatabase(t *testing.T) {
	grown := batchSize{2000, 2000}
	for _, c := range []struct {
		statement, row time.Duration
		size           batchSize
		votes          int
		atMost         time.Duration
	}{
		{0, 3 * time.Millisecond, newBatchSize(2000), 3000, 10 * time.Second},    // 9 s of work, and no time-out
		{0, 3 * time.Millisecond, grown, 3000, 15 * time.Second},                 // and one time-out
		{0, 100 * time.Millisecond, grown, 3000, 330 * time.Second},              // 300 s, and three
		{0, 2 * time.Second, newBatchSize(2000), 50, 130 * time.Second},          // 100 s: two at once fit
		{2 * time.Second, 0, newBatchSize(2000), 20_000, 30 * time.Second},       // slow to answer: batches must grow
		{2 * time.Second, 0, batchSize{1, 2000}, 20_000, 45 * time.Second},       // even after time-outs
		{0, 10 * time.Microsecond, newBatchSize(2000), 100_000, 2 * time.Second}, // a quick one
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			d := &database{statement: c.statement, row: c.row, stored: map[string]time.Time{}}
			d.arrive("", c.votes, began, 0)
			d.work(c.size, time.Hour)
			last := began
			for _, at := range d.stored {
				if at.After(last) {
					last = at
				}
			}
			if took := last.Sub(began); len(d.stored) != c.votes || took > c.atMost {
				t.Errorf("%v a statement and %v a row: %d of %d stored after %v, want all within %v; %d statements",
					c.statement, c.row, len(d.stored), c.votes, took, c.atMost, d.statements)
			}
		})
	}
}

// One vote that can't be stored holds up neither those that were read with it nor new ones for long, and is stored once
// it can be.
func TestAnEntryThatAlwaysTimesOutIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := &database{row: time.Microsecond, stored: map[string]time.Time{}, locked: "old1234",
			unlocked: began.Add(10 * time.Minute)}
		d.arrive("old", 2000, began, 0)
		const every = 1700 * time.Millisecond
		d.arrive("new", 300, began, every)
		d.work(batchSize{2000, 2000}, time.Hour)
		for i := range 2000 {
			id := fmt.Sprint("old", i)
			took := d.stored[id].Sub(began)
			if id == d.locked {
				if took -= d.unlocked.Sub(began); took < 0 || took > 3*storeTimeout {
					t.Errorf("the locked vote is stored %v after its lock has gone", took)
				}
			} else if took < 0 || took > 2*time.Minute {
				t.Errorf("%s is stored after %v", id, took)
			}
		}
		for i := range 300 {
			id := fmt.Sprint("new", i)
			if took := d.stored[id].Sub(began.Add(time.Duration(i) * every)); took < 0 || took > 2*storeTimeout {
				t.Errorf("%s is stored after %v", id, took)
			}
		}
	})
}
