package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// receiptReader is where stored votes are read.
type receiptReader interface {
	Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error)
}

// voteFinder is where votes are looked for that are not stored.
type voteFinder interface {
	Find(ctx context.Context, id uuid.UUID) (votestream.Sighting, error)
}

// state is how far a vote has come.
type state string

// The states.
const (
	stateQueued       state = "queued"      // it waits in the stream, or a worker has it in hand
	stateCounted      state = "counted"     // it is stored and in the tally
	stateShown        state = "shown"       // the tally with it has been handed to every open page of this service
	stateDeadLettered state = "given_up"    // it is among the dead letters
	stateUnknown      state = "unknown"     // it is nowhere: nobody cast it, or it was refused
	stateUnavailable  state = "unavailable" // on pages only: it can't be told now
)

// receipts answers GET /votes/{id}: how far a vote has come, as a page for browsers.
type receipts struct {
	store   receiptReader
	queue   voteFinder
	shownAt func(transaction uint64) (shown bool, at time.Time) // quick, and safe for concurrent use
	pages   *resultPages
}

// receipt is what is known of one vote. The zero value of a field says that it isn't known.
type receipt struct {
	ID       uuid.UUID         `json:"id"`
	State    state             `json:"state"`
	Counted  bool              `json:"counted"` // as it is once stored
	Pet      ballot.Choice     `json:"pet,omitempty"`
	CastAt   time.Time         `json:"cast_at,omitzero"`   // by the clock of the vote service
	QueuedAt time.Time         `json:"queued_at,omitzero"` // by Redis's
	StoredAt time.Time         `json:"stored_at,omitzero"` // by PostgreSQL's: when the transaction began
	ShownAt  time.Time         `json:"shown_at,omitzero"`  // by this one's
	TraceID  string            `json:"trace_id,omitempty"`
	Reason   votestream.Reason `json:"reason,omitempty"` // why it was given up
}

// ServeHTTP answers 404 only for a vote that is nowhere. Where that can't be told, because PostgreSQL or Redis is away or
// the queue is too long, it answers 503.
func (h *receipts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		writeError(w, r, errVoteID)
		return
	}
	w.Header().Add("Vary", "Accept")
	wantsPage := strings.Contains(r.Header.Get("Accept"), "text/html")
	found, err := h.find(r.Context(), id)
	status := http.StatusOK
	switch {
	case err != nil && !wantsPage:
		writeError(w, r, err)
		return
	case err != nil:
		logUnanswered(r, err)
		w.Header().Set("Retry-After", retryAfter)
		status, found = http.StatusServiceUnavailable, receipt{ID: id, State: stateUnavailable}
	case found.State == stateUnknown:
		status = http.StatusNotFound
	}
	if wantsPage {
		h.pages.renderReceipt(w, r, status, found)
		return
	}
	writeJSON(w, status, found)
}

// find asks PostgreSQL, then Redis, and where that has no answer PostgreSQL once more: a vote that was stored in between
// was in neither when it was asked. Redis is not asked for a vote that is stored; while PostgreSQL is away it can at least
// tell which votes wait.
func (h *receipts) find(ctx context.Context, id uuid.UUID) (receipt, error) {
	stored, err := h.stored(ctx, id)
	if err == nil {
		return stored, nil
	}
	seen, queueErr := h.queue.Find(ctx, id)
	if queueErr == nil {
		return notStored(id, seen), nil
	}
	if !errors.Is(err, votestore.ErrNoVote) {
		return receipt{}, err
	}
	stored, err = h.stored(ctx, id)
	switch {
	case !errors.Is(err, votestore.ErrNoVote):
		return stored, err
	case errors.Is(queueErr, votestream.ErrNotQueued):
		return receipt{ID: id, State: stateUnknown}, nil
	}
	return receipt{}, queueErr
}

func (h *receipts) stored(ctx context.Context, id uuid.UUID) (receipt, error) {
	v, err := h.store.Receipt(ctx, id)
	if err != nil {
		return receipt{}, err
	}
	r := receipt{ID: id, State: stateCounted, Counted: true, Pet: v.Vote.Pet, CastAt: v.Vote.CastAt,
		QueuedAt: v.QueuedAt, StoredAt: v.StoredAt, TraceID: v.TraceID}
	if shown, at := h.shownAt(v.Transaction); shown {
		r.State, r.ShownAt = stateShown, at
	}
	return r, nil
}

func notStored(id uuid.UUID, s votestream.Sighting) receipt {
	r := receipt{ID: id, State: stateQueued, Pet: s.Message.Vote.Pet, CastAt: s.Message.Vote.CastAt,
		QueuedAt: s.QueuedAt, TraceID: s.Message.Trace.TraceID()}
	if s.GivenUp {
		r.State, r.Reason = stateDeadLettered, s.Reason
	}
	return r
}
