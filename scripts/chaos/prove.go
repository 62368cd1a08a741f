package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

const (
	drainLimit = 60 * time.Second // for what is queued to be stored at the end, before the proof
	askLimit   = 30 * time.Second // for each question of the proof
	restLimit  = 20 * time.Second // for the page to show the final numbers, and for stragglers
	askAgain   = 100 * time.Millisecond
)

// eventually asks until the answer is nil, and returns the last error when the time is up.
func eventually(ctx context.Context, within time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askAgain):
		}
	}
}

// drain waits until nothing is in the queue.
func drain(ctx context.Context, t target) error {
	return eventually(ctx, drainLimit, func(ctx context.Context) error {
		n, err := t.queued(ctx)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d votes are still in the queue", n)
		}
		return err
	})
}

// proveAtRest proves again and again until the page shows what is stored and nothing is missing from the books: a page follows
// after a moment, and a request that a voter was told is refused may still be on its way, in the network or in Redis. What does
// not come to rest in time the last proof tells as it is.
func proveAtRest(ctx context.Context, t target, started time.Time, before standings, answers []answer, s *screen) (last proof, err error) {
	found := false
	err = eventually(ctx, restLimit, func(ctx context.Context) error {
		p, err := prove(ctx, t, started, before, answers)
		if err != nil {
			return err
		}
		p.Shown = s.shows()
		p.OnScreen = p.Shown.Total()
		last, found = p, true
		if p.Shown != p.Tallied || p.Books.Difference != 0 || p.Books.Waiting != 0 {
			return errors.New("votes are still on their way")
		}
		return nil
	})
	if found {
		return last, nil
	}
	return proof{}, err
}

// prove compares what was answered with what is stored, as sets, and the books with what they were before.
func prove(ctx context.Context, t target, started time.Time, before standings, answers []answer) (proof, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	after, err := settledStandings(ctx, t)
	if err != nil {
		return proof{}, err
	}
	stored, err := t.storedSince(ctx, started.Add(-clocksApart))
	if err != nil {
		return proof{}, err
	}
	p := compare(answers, stored)
	p.Rows, p.Tally, p.Tallied = after.rows.Total(), after.tally.Total(), after.tally
	for _, pet := range ballot.Choices() {
		p.CountedTwice += max(after.tally.Of(pet)-after.rows.Of(pet), 0)
		p.NotCounted += max(after.rows.Of(pet)-after.tally.Of(pet), 0)
	}
	p.DeadLetters = after.deadEver - before.deadEver
	p.Books = books{Accepted: after.added - before.added, Stored: after.rows.Total() - before.rows.Total(), Duplicates: after.duplicates - before.duplicates,
		Dead: p.DeadLetters, Waiting: after.waiting - before.waiting}
	p.Books.Difference = p.Books.Accepted - p.Books.Stored - p.Books.Duplicates - p.Books.Dead - p.Books.Waiting
	return p, nil
}

// clocksApart is how far the clock of the services may be from this program's. Votes are matched by their ids.
const clocksApart = 10 * time.Minute

// settledStandings reads the books until two readings in a row agree: PostgreSQL and Redis are asked one after the other.
func settledStandings(ctx context.Context, t target) (last standings, err error) {
	err = eventually(ctx, askLimit, func(ctx context.Context) error {
		now, err := t.standings(ctx)
		if err == nil && now != last {
			err = errors.New("the books are still being written: does anybody else vote?")
		}
		last = now
		return err
	})
	return last, err
}

// compare puts each vote that was sent, by the best answer that its voter got, beside what is stored.
func compare(answers []answer, stored map[uuid.UUID]ballot.Choice) proof {
	best := make(map[uuid.UUID]answer, len(answers))
	for _, a := range answers {
		if known, found := best[a.Vote]; !found || rank(a.Status) > rank(known.Status) {
			best[a.Vote] = a
		}
	}
	p := proof{Sent: len(best), Retries: len(answers) - len(best)}
	for id, a := range best {
		pet, isStored := stored[id]
		if isStored {
			p.Stored++
		}
		switch a.Status {
		case accepted:
			p.Accepted++
			if pet != a.Pet {
				p.Lost++
				p.LostIDs = append(p.LostIDs, id.String())
			}
		case unknown:
			p.Unknown++
			if isStored {
				p.UnknownStored++
			} else {
				p.UnknownNotStored++
			}
		default:
			p.Refused++
			if isStored {
				p.RefusedStored++
			}
		}
	}
	slices.Sort(p.LostIDs)
	return p
}

// rank orders what a voter knows: one success among any number of attempts is a success, and who got no answer once does not
// know, whatever was refused before or after.
func rank(s status) int {
	switch s {
	case accepted:
		return 2
	case unknown:
		return 1
	}
	return 0
}

// refutes says what in a proof does not hold, a sentence each.
func (p *proof) refutes() []string {
	var failures []string
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	if p.Accepted == 0 {
		fail("no vote was accepted, so that nothing is proved")
	}
	if p.Lost > 0 {
		some := strings.Join(p.LostIDs[:min(3, len(p.LostIDs))], ", ")
		if p.Lost > 3 {
			some += ", and more, all of them in report.json where -report says"
		}
		fail("%d of %d accepted votes are lost: %s", p.Lost, p.Accepted, some)
	}
	if p.CountedTwice > 0 {
		fail("the tally has %d votes more than are stored", p.CountedTwice)
	}
	if p.NotCounted > 0 {
		fail("the tally has %d votes fewer than are stored", p.NotCounted)
	}
	if p.Shown != p.Tallied {
		fail("the page shows %+v, the tally is %+v", p.Shown, p.Tallied)
	}
	if p.Books.Difference != 0 {
		fail("the books do not balance: %d accepted − %d stored − %d duplicates − %d dead − %d waiting = %d",
			p.Books.Accepted, p.Books.Stored, p.Books.Duplicates, p.Books.Dead, p.Books.Waiting, p.Books.Difference)
	}
	if p.DeadLetters > 0 {
		fail("%d votes went to the dead letters", p.DeadLetters)
	}
	if p.Backwards > 0 {
		fail("the page counted backwards %d times", p.Backwards)
	}
	if p.Restarted != "" {
		fail("nobody had touched %s, and it was started again", p.Restarted)
	}
	return failures
}
