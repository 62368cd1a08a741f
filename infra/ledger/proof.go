package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"petvote/infra/wait"
	"petvote/shared/ballot"
)

const (
	drainLimit = 60 * time.Second // for the queue to be stored
	askLimit   = 30 * time.Second // for each question to the store
	restLimit  = 20 * time.Second // for the page to show the final numbers, and for stragglers
	clockSkew  = 10 * time.Minute // between the services' clocks and this one; votes are matched by their ids
)

// Proof compares the accepted and the stored votes as sets.
type Proof struct {
	Sent     int `json:"sent"` // votes, each with a key of its own
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"` // by the best answer of all attempts
	Unknown  int `json:"unknown"` // no answer in time, or the connection was cut
	Retries  int `json:"retries"`
	Stored   int `json:"stored"` // of those sent

	Lost             int      `json:"lost"`           // accepted, and not stored or stored for another pet
	CountedTwice     int64    `json:"counted_twice"`  // more in the tally of a pet than there are votes for it
	NotCounted       int64    `json:"not_counted"`    // fewer
	RefusedStored    int      `json:"refused_stored"` // refused and stored, which is no fault
	UnknownStored    int      `json:"unknown_stored"`
	UnknownNotStored int      `json:"unknown_not_stored"`
	LostIDs          []string `json:"lost_ids,omitempty"`
	WrongAnswer      string   `json:"wrong_answer,omitempty"` // one that no voter should ever see

	Rows        int64         `json:"rows"`    // in PostgreSQL, everyone's
	Tallied     ballot.Counts `json:"tallied"` // the sums that PostgreSQL keeps
	Shown       ballot.Counts `json:"shown"`   // those that the results page shows
	Books       Books         `json:"books"`
	DeadLetters int64         `json:"dead_letters"`        // since the ledger began
	Backwards   int           `json:"backwards"`           // pushes with a smaller number than one before
	Restarted   string        `json:"restarted,omitempty"` // services that restarted by themselves
}

// Books are accepted = stored + duplicates + dead-lettered + waiting + in flight, as differences to a beginning.
type Books struct {
	Accepted   int64 `json:"accepted"` // entries ever added to a queue
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"`
	Dead       int64 `json:"dead"`
	Waiting    int64 `json:"waiting"` // with those in flight
	Difference int64 `json:"difference"`
}

// Drain waits until all queues are empty, for a minute at most.
func Drain(ctx context.Context, store Store) error {
	return wait.Until(ctx, drainLimit, func(ctx context.Context) error {
		n, err := store.Queued(ctx)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d votes are still queued", n)
		}
		return err
	})
}

// Shown returns the numbers on the results page.
type Shown func(context.Context) (ballot.Counts, error)

// Prove compares again and again until the page shows the tally and the books balance, for 20 s at most: a page follows
// after a moment, and a refused request may still be on its way. The proof is the last comparison. An error means that
// there is no proof, for or against.
func (l *Ledger) Prove(ctx context.Context, store Store, before Standings, shown Shown) (last Proof, err error) {
	found := false
	err = wait.Until(ctx, restLimit, func(ctx context.Context) error {
		p, err := l.compare(ctx, store, before)
		if err != nil {
			return err
		}
		if p.Shown, err = shown(ctx); err != nil {
			return fmt.Errorf("ask the page: %w", err)
		}
		last, found = p, true
		if p.Shown != p.Tallied || p.Books.Difference != 0 || p.Books.Waiting != 0 {
			return errors.New("votes are still on their way")
		}
		return nil
	})
	if found {
		err = l.logged()
	}
	return last, err
}

func (l *Ledger) compare(ctx context.Context, store Store, before Standings) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	after, err := Steady(ctx, store)
	if err != nil {
		return Proof{}, err
	}
	stored, err := store.StoredSince(ctx, l.Began.Add(-clockSkew))
	if err != nil {
		return Proof{}, err
	}
	p := Compare(l.Answers(), stored)
	p.Rows, p.Tallied = after.Rows.Total(), after.Tally
	for _, pet := range ballot.Choices() {
		p.CountedTwice += max(after.Tally.Of(pet)-after.Rows.Of(pet), 0)
		p.NotCounted += max(after.Rows.Of(pet)-after.Tally.Of(pet), 0)
	}
	p.DeadLetters = after.Dead - before.Dead
	b := Books{
		Accepted: after.Added - before.Added, Stored: after.Rows.Total() - before.Rows.Total(),
		Duplicates: after.Duplicates - before.Duplicates, Dead: p.DeadLetters, Waiting: after.Waiting - before.Waiting,
	}
	b.Difference = b.Accepted - b.Stored - b.Duplicates - b.Dead - b.Waiting
	p.Books = b
	return p, nil
}

// Steady reads the standings until two readings in a row agree: PostgreSQL and Redis are asked one after the other.
func Steady(ctx context.Context, store Store) (last Standings, err error) {
	err = wait.Until(ctx, askLimit, func(ctx context.Context) error {
		now, err := store.Standings(ctx)
		if err == nil && now != last {
			err = errors.New("the books are still changing: is somebody else voting?")
		}
		last = now
		return err
	})
	return last, err
}

// Compare looks up each vote that was sent, with the best answer that its voter got, among the stored ones.
func Compare(answers []Answer, stored map[uuid.UUID]ballot.Choice) Proof {
	best := make(map[uuid.UUID]Answer, len(answers))
	for _, a := range answers {
		if known, found := best[a.Vote]; !found || rank(a.Status) > rank(known.Status) {
			best[a.Vote] = a
		}
	}
	p := Proof{Sent: len(best), Retries: len(answers) - len(best)}
	if i := slices.IndexFunc(answers, func(a Answer) bool { return a.Status == Wrong }); i >= 0 {
		p.WrongAnswer = answers[i].Error
	}
	for id, a := range best {
		pet, isStored := stored[id]
		if isStored {
			p.Stored++
		}
		switch {
		case a.Status == Accepted:
			p.Accepted++
			if pet != a.Pet {
				p.Lost++
				p.LostIDs = append(p.LostIDs, id.String())
			}
		case a.Status == Unknown && isStored:
			p.Unknown++
			p.UnknownStored++
		case a.Status == Unknown:
			p.Unknown++
			p.UnknownNotStored++
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

// rank orders statuses: one success among any number of attempts is a success, and a voter who got no answer to one
// attempt does not know, whatever the other attempts were answered.
func rank(s Status) int { return slices.Index([]Status{Unknown, Accepted}, s) }

// Refutes returns a sentence for each claim of the proof that does not hold.
func (p *Proof) Refutes() []string {
	var failures []string
	check := func(fails bool, format string, args ...any) {
		if fails {
			failures = append(failures, fmt.Sprintf(format, args...))
		}
	}
	some := strings.Join(p.LostIDs[:min(3, len(p.LostIDs))], ", ")
	if p.Lost > 3 {
		some += ", and more"
	}
	b := p.Books
	check(p.Accepted == 0, "no vote was accepted, so nothing is proved")
	check(p.Lost > 0, "%d of %d accepted votes are lost: %s", p.Lost, p.Accepted, some)
	check(p.CountedTwice > 0, "the tally has %d votes more than are stored", p.CountedTwice)
	check(p.NotCounted > 0, "the tally has %d votes fewer than are stored", p.NotCounted)
	check(p.Shown != p.Tallied, "the page shows %+v, the tally is %+v", p.Shown, p.Tallied)
	check(b.Difference != 0,
		"the books do not balance: %d accepted − %d stored − %d duplicates − %d dead − %d waiting = %d",
		b.Accepted, b.Stored, b.Duplicates, b.Dead, b.Waiting, b.Difference)
	check(p.WrongAnswer != "", "a voter got a wrong answer: %q", p.WrongAnswer)
	check(p.DeadLetters > 0, "%d votes became dead letters", p.DeadLetters)
	check(p.Backwards > 0, "the page counted backwards %d times", p.Backwards)
	check(p.Restarted != "", "%s restarted by itself", p.Restarted)
	return failures
}
