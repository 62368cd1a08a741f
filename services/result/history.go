package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"petvote/shared/ballot"
	"petvote/shared/votestore"
	"petvote/shared/web"
)

// minuteReader reads the votes of each minute from the store.
type minuteReader interface {
	History(ctx context.Context, since time.Time) ([]votestore.Minute, error)
}

const (
	rereadAfter    = time.Second
	defaultMinutes = 60
	maxMinutes     = 24 * 60
)

// history answers GET /api/history from a copy of the longest history that can be requested. However many requests
// come, the store is read at most once a second. A failed read fails the requests waiting for it, and is not kept.
type history struct {
	store  minuteReader
	flight singleflight.Group
	voted  []votestore.Minute // as readAt used only within flight, and so by one goroutine at a time
	readAt time.Time          // when the read began
}

type historyAnswer struct {
	From    time.Time     `json:"from"` // the first minute
	To      time.Time     `json:"to"`   // the last one, still running
	Minutes []minuteVotes `json:"minutes"`
}

type minuteVotes struct {
	Minute time.Time `json:"minute"`
	ballot.Counts
}

// ServeHTTP answers GET /api/history?minutes=n with the votes of each of the last n minutes, oldest first.
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
	web.JSON(w, http.StatusOK, historyAnswer{From: from, To: to, Minutes: fill(voted, from, n)})
}

// lastMinutes returns the first and the last of the n minutes that end with the current one.
func lastMinutes(n int) (from, to time.Time) {
	to = time.Now().UTC().Truncate(time.Minute)
	return to.Add(-time.Duration(n-1) * time.Minute), to
}

// lastDay returns a copy at most a second old, read once for all waiting requests if need be. The read goes on if the
// request that started it is cancelled; the store's policy bounds it.
func (h *history) lastDay(ctx context.Context) ([]votestore.Minute, error) {
	voted, err, _ := h.flight.Do("", func() (any, error) {
		if time.Since(h.readAt) < rereadAfter {
			return h.voted, nil
		}
		readAt := time.Now()
		from, _ := lastMinutes(maxMinutes)
		voted, err := h.store.History(context.WithoutCancel(ctx), from)
		if err == nil {
			h.voted, h.readAt = voted, readAt
		}
		return voted, err
	})
	return voted.([]votestore.Minute), err
}

// fill returns n consecutive minutes, with the votes where there are some.
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
