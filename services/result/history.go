package main

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"petvote/shared/ballot"
	"petvote/shared/votestore"
)

// minuteReader is where the votes of each minute are read.
type minuteReader interface {
	History(ctx context.Context, since time.Time) ([]votestore.Minute, error)
}

// rereadAfter is how old a copy of the history may be.
const rereadAfter = time.Second

// history answers GET /api/history from a copy of the longest span that can be asked for. However many ask, the store is
// read at most once a second; a read that failed is answered to those who waited for it, and not kept.
type history struct {
	store  minuteReader
	flight singleflight.Group

	mu     sync.Mutex
	voted  []votestore.Minute
	readAt time.Time // when the read began
}

// The span of an answer, in minutes.
const (
	defaultMinutes = 60
	maxMinutes     = 24 * 60
)

type historyAnswer struct {
	From    time.Time     `json:"from"` // the first minute
	To      time.Time     `json:"to"`   // the last one, still running
	Minutes []minuteVotes `json:"minutes"`
}

type minuteVotes struct {
	Minute time.Time `json:"minute"`
	ballot.Counts
}

// ServeHTTP answers GET /api/history?minutes=n with the votes cast in each of the last n minutes, oldest first, those
// without votes included.
func (h *history) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := defaultMinutes
	if text := r.URL.Query().Get("minutes"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxMinutes {
			writeError(w, r, errMinutes)
			return
		}
	}
	voted, err := h.lastDay(r.Context())
	if err != nil {
		writeError(w, r, err)
		return
	}
	from, to := lastMinutes(n)
	writeJSON(w, http.StatusOK, historyAnswer{From: from, To: to, Minutes: fill(voted, from, n)})
}

// lastMinutes gives the first and the last of the n minutes that end with the present one.
func lastMinutes(n int) (from, to time.Time) {
	to = time.Now().UTC().Truncate(time.Minute)
	return to.Add(-time.Duration(n-1) * time.Minute), to
}

// lastDay returns a copy that is fresh, or else reads one, for all who wait for it. The read outlives the asker who
// happened to be the first; the store's policy bounds it.
func (h *history) lastDay(ctx context.Context) ([]votestore.Minute, error) {
	if voted, ok := h.fresh(); ok {
		return voted, nil
	}
	voted, err, _ := h.flight.Do("", func() (any, error) {
		if voted, ok := h.fresh(); ok { // read by another since this one looked
			return voted, nil
		}
		readAt := time.Now()
		from, _ := lastMinutes(maxMinutes)
		voted, err := h.store.History(context.WithoutCancel(ctx), from)
		if err != nil {
			return nil, err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.voted, h.readAt = voted, readAt
		return voted, nil
	})
	if err != nil {
		return nil, err
	}
	return voted.([]votestore.Minute), nil
}

func (h *history) fresh() ([]votestore.Minute, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.voted, !h.readAt.IsZero() && time.Since(h.readAt) < rereadAfter
}

// fill puts the minutes with votes into a row of n minutes.
func fill(voted []votestore.Minute, from time.Time, n int) []minuteVotes {
	row := make([]minuteVotes, n)
	for i := range row {
		row[i].Minute = from.Add(time.Duration(i) * time.Minute)
	}
	for _, m := range voted {
		if i := int(m.Start.Sub(from) / time.Minute); i >= 0 && i < n {
			row[i].Counts = m.Counts
		}
	}
	return row
}
