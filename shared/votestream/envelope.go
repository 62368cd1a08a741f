package votestream

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
)

// The stream, its consumer group and the stream of dead letters. The braces put every key of the queue into the slot of
// the stream, so that a Redis in cluster mode can change them together.
const (
	Stream     = "votes"
	Group      = "workers"
	DeadStream = "{votes}:dead"
)

// The fields of an entry.
const (
	fieldID     = "id"          // UUID
	fieldVote   = "vote"        // the pet
	fieldCastAt = "cast_at"     // RFC 3339 with nanoseconds, UTC
	fieldParent = "traceparent" // W3C
	fieldState  = "tracestate"  // W3C
)

// ErrUndecodable reports that an entry of the stream is not a vote.
var ErrUndecodable = errors.New("undecodable entry")

// Message is the content of an entry.
type Message struct {
	Vote  ballot.Vote
	Trace tracecontext.TraceContext // of the last step; the next one continues it
}

// voteFields are a vote's, in the order of values.
var voteFields = [...]string{fieldID, fieldVote, fieldCastAt, fieldParent, fieldState}

func (m Message) values() [len(voteFields)]string {
	return [...]string{m.Vote.ID.String(), string(m.Vote.Pet), m.Vote.CastAt.UTC().Format(time.RFC3339Nano),
		m.Trace.Parent, m.Trace.State}
}

// decode returns the message of an entry's fields. It checks neither the vote's validity nor its trace. Errors wrap
// [ErrUndecodable].
func decode(fields map[string]any) (Message, error) {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	id, err := uuid.Parse(text(fieldID))
	if err != nil {
		return Message{}, fmt.Errorf("%w: field %s: %w", ErrUndecodable, fieldID, err)
	}
	castAt, err := time.Parse(time.RFC3339Nano, text(fieldCastAt))
	if err != nil {
		return Message{}, fmt.Errorf("%w: field %s: %w", ErrUndecodable, fieldCastAt, err)
	}
	if _, ok := fields[fieldVote]; !ok {
		return Message{}, fmt.Errorf("%w: no field %s", ErrUndecodable, fieldVote)
	}
	return Message{
		Vote:  ballot.Vote{ID: id, Pet: ballot.Choice(text(fieldVote)), CastAt: castAt.UTC()},
		Trace: tracecontext.TraceContext{Parent: text(fieldParent), State: text(fieldState)},
	}, nil
}
