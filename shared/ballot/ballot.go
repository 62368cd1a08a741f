// Package ballot is the domain: choices, votes and counts.
package ballot

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Choice is a pet to vote for, by its name in requests, in the stream and in the database.
type Choice string

// The choices of this election.
const (
	Dogs    Choice = "dogs"
	Cats    Choice = "cats"
	Lizards Choice = "lizards"
)

// Choices returns all choices in the order of the pages.
func Choices() []Choice { return []Choice{Dogs, Cats, Lizards} }

// ErrUnknownChoice reports that a name is none of [Choices]. Voters see its text.
//
//lint:ignore ST1005 the wording is part of the API
var ErrUnknownChoice = errors.New("Invalid pet choice")

// ErrInvalidVote reports that a vote lacks a required part.
var ErrInvalidVote = errors.New("invalid vote")

// ParseChoice returns the choice with that exact name, or [ErrUnknownChoice].
func ParseChoice(name string) (Choice, error) {
	switch c := Choice(name); c {
	case Dogs, Cats, Lizards:
		return c, nil
	}
	return "", ErrUnknownChoice
}

// Vote is one person's choice. It counts once per ID, so it may be sent again; the first one stored decides the choice.
type Vote struct {
	ID     uuid.UUID
	Pet    Choice
	CastAt time.Time // UTC
}

// Validate returns nil, [ErrUnknownChoice], or an error that wraps [ErrInvalidVote] with the reason.
func (v Vote) Validate() error {
	if _, err := ParseChoice(string(v.Pet)); err != nil {
		return err
	}
	switch {
	case v.ID == uuid.Nil:
		return fmt.Errorf("%w: no id", ErrInvalidVote)
	case v.CastAt.Year() < 2000 || v.CastAt.Year() > 9999:
		return fmt.Errorf("%w: no plausible time of casting", ErrInvalidVote)
	}
	return nil
}

// Counts is the number of votes for each choice. Its JSON form is the payload of pushes and of the tally.
type Counts struct {
	Dogs    int64 `json:"dogs"`
	Cats    int64 `json:"cats"`
	Lizards int64 `json:"lizards"`
}

// Of returns the number for one choice, 0 for an unknown one.
func (c Counts) Of(pet Choice) int64 { return *c.field(pet) }

// Add adds n votes to one choice and ignores an unknown one.
func (c *Counts) Add(pet Choice, n int64) { *c.field(pet) += n }

// Total is the sum over all choices, or the largest number if the sum is larger.
func (c Counts) Total() int64 {
	total := int64(0)
	for _, n := range []int64{c.Dogs, c.Cats, c.Lizards} {
		total += min(n, math.MaxInt64-total)
	}
	return total
}

func (c *Counts) field(pet Choice) *int64 {
	switch pet {
	case Dogs:
		return &c.Dogs
	case Cats:
		return &c.Cats
	case Lizards:
		return &c.Lizards
	}
	return new(int64) // for an unknown choice; not part of c
}

// Digits writes a count with a comma between each three digits: 1,234,567.
func Digits[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
