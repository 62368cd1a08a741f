// Package ballot is the domain: what one may vote for, what a vote is, and how votes are counted.
package ballot

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// Choice is a pet that one may vote for, by the name it has in requests, in the stream and in the database.
type Choice string

// The choices of this election.
const (
	Dogs    Choice = "dogs"
	Cats    Choice = "cats"
	Lizards Choice = "lizards"
)

// Choices lists every choice in the order in which pages show them.
func Choices() []Choice { return []Choice{Dogs, Cats, Lizards} }

// ErrUnknownChoice says that a name is none of [Choices]. Its text is shown to voters.
//
//lint:ignore ST1005 the wording is part of the API
var ErrUnknownChoice = errors.New("Invalid pet choice")

// ErrInvalidVote says that a vote lacks something every vote has.
var ErrInvalidVote = errors.New("invalid vote")

// ParseChoice returns the choice with that exact name, or [ErrUnknownChoice].
func ParseChoice(name string) (Choice, error) {
	switch c := Choice(name); c {
	case Dogs, Cats, Lizards:
		return c, nil
	}
	return "", ErrUnknownChoice
}

// Vote is one person's choice at one time. Its ID is what makes repeating it harmless: a vote counts once per ID,
// and the first one stored under an ID decides what it was for.
type Vote struct {
	ID     uuid.UUID
	Pet    Choice
	CastAt time.Time // UTC
}

// Validate returns [ErrUnknownChoice] or [ErrInvalidVote] (wrapped, with the reason) for a vote that must not be
// counted.
func (v Vote) Validate() error {
	if _, err := ParseChoice(string(v.Pet)); err != nil {
		return err
	}
	switch {
	case v.ID == uuid.Nil:
		return errors.Join(ErrInvalidVote, errors.New("no id"))
	case v.CastAt.Year() < 2000 || v.CastAt.Year() > 9999:
		return errors.Join(ErrInvalidVote, errors.New("no plausible time of casting"))
	}
	return nil
}
