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
	"petvote/shared/web"
)

// receiptReader looks up stored votes.
type receiptReader interface {
	Receipt(ctx context.Context, id uuid.UUID) (votestore.Receipt, error)
}

// voteFinder looks up votes that are not stored.
type voteFinder interface {
	Lookup(ctx context.Context, e votestream.Entry, id uuid.UUID) (votestream.Location, error)
}

// state is how far a vote has come.
type state string

// The states.
const (
	stateQueued       state = "queued"      // in the stream, waiting or in a worker's hands
	stateCounted      state = "counted"     // stored and in the tally
	stateShown        state = "shown"       // the tally that counts it is in the mailbox of every viewer of this service
	stateDeadLettered state = "given_up"    // among the dead letters
	stateUnknown      state = "unknown"     // nowhere: never cast, or refused
	stateUnavailable  state = "unavailable" // can't be looked up now; on pages only
	stateMalformed    state = "malformed"   // not a receipt's address; on pages only

	// Not stored; perhaps in the queue, which can't be searched without the vote's entry.
	stateQueuedOrUnknown state = "queued_or_unknown"
)

// receipt is the known progress of one vote. Unknown fields are zero.
type receipt struct {
	ID       uuid.UUID         `json:"id"`
	State    state             `json:"state"`
	Counted  bool              `json:"counted"`
	Pet      ballot.Choice     `json:"pet,omitempty"`
	CastAt   time.Time         `json:"cast_at,omitzero"`   // by the vote service's clock
	QueuedAt time.Time         `json:"queued_at,omitzero"` // by Redis's
	StoredAt time.Time         `json:"stored_at,omitzero"` // by PostgreSQL's: the start of the transaction
	ShownAt  time.Time         `json:"shown_at,omitzero"`  // by this service's
	TraceID  string            `json:"trace_id,omitempty"` // if sampled
	Reason   votestream.Reason `json:"reason,omitempty"`   // of a dead letter
}

// receipt answers GET /votes/{id}?entry=… with a vote's progress, as a page for browsers. It answers 404 only for a
// vote that is nowhere. It answers 503 if PostgreSQL or Redis is unavailable or the vote may be at another entry.
func (a *api) receipt(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*") // public; the voting page, of another origin, reads it
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	w.Header().Add("Vary", "Accept")
	wantsPage := strings.Contains(r.Header.Get("Accept"), "text/html")
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		err = errVoteID
	}
	var entry votestream.Entry
	if query := r.URL.Query(); err == nil && query.Has("entry") {
		entry, err = votestream.ParseEntry(query.Get("entry"))
	}
	switch {
	case err != nil && wantsPage:
		a.pages.renderReceipt(w, r, http.StatusBadRequest, receipt{State: stateMalformed})
		return
	case err != nil:
		writeError(w, r, err)
		return
	}
	if wait := a.limit.Wait(r); wait > 0 {
		if wantsPage {
			w.Header().Set("Retry-After", web.RetryAfter(wait))
			a.pages.renderReceipt(w, r, http.StatusTooManyRequests, receipt{ID: id, State: stateUnavailable})
		} else {
			web.TooMany(w, wait)
		}
		return
	}
	// A client that leaves does not cut off the look-up, which would cost the connection to PostgreSQL or Redis.
	found, err := a.find(context.WithoutCancel(r.Context()), id, entry)
	status := http.StatusOK
	switch {
	case err != nil && !wantsPage:
		writeError(w, r, err)
		return
	case err != nil:
		logFailure(r, err)
		status, found = http.StatusServiceUnavailable, receipt{ID: id, State: stateUnavailable}
	case found.State == stateQueuedOrUnknown:
		status = http.StatusServiceUnavailable
	case found.State == stateUnknown:
		status = http.StatusNotFound
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", web.RetrySoon)
	}
	if wantsPage {
		a.pages.renderReceipt(w, r, status, found)
		return
	}
	web.JSON(w, status, found)
}

// find asks PostgreSQL, then Redis, and if neither has the vote PostgreSQL again: it may have been stored in between.
// Redis alone still knows the queued votes while PostgreSQL is unavailable.
func (a *api) find(ctx context.Context, id uuid.UUID, entry votestream.Entry) (receipt, error) {
	stored, err := a.stored(ctx, id)
	if err == nil {
		return stored, nil
	}
	location, queueErr := a.queue.Lookup(ctx, entry, id)
	if queueErr == nil {
		return notStored(id, location), nil
	}
	if !errors.Is(err, votestore.ErrNoVote) {
		return receipt{}, err
	}
	stored, err = a.stored(ctx, id)
	switch {
	case !errors.Is(err, votestore.ErrNoVote):
		return stored, err
	case errors.Is(queueErr, votestream.ErrNotQueued):
		return receipt{ID: id, State: stateUnknown}, nil
	case errors.Is(queueErr, votestream.ErrMaybeQueued):
		return receipt{ID: id, State: stateQueuedOrUnknown}, nil
	}
	return receipt{}, queueErr
}

func (a *api) stored(ctx context.Context, id uuid.UUID) (receipt, error) {
	v, err := a.store.Receipt(ctx, id)
	if err != nil {
		return receipt{}, err
	}
	r := receipt{ID: id, State: stateCounted, Counted: true, Pet: v.Vote.Pet, CastAt: v.Vote.CastAt,
		QueuedAt: votestream.EntryTime(votestream.EntryFromBytes(v.Source).ID), StoredAt: v.StoredAt, TraceID: v.TraceID}
	if shown, at := a.cache.pushes.shownAt(v.Transaction); shown {
		r.State, r.ShownAt = stateShown, at
	}
	return r, nil
}

func notStored(id uuid.UUID, l votestream.Location) receipt {
	r := receipt{ID: id, State: stateQueued, Pet: l.Message.Vote.Pet, CastAt: l.Message.Vote.CastAt}
	if l.Message.Trace.Sampled() {
		r.TraceID = l.Message.Trace.TraceID()
	}
	if l.Dead {
		r.State, r.Reason = stateDeadLettered, l.Reason
	} else {
		r.QueuedAt = votestream.EntryTime(l.EntryID)
	}
	return r
}
