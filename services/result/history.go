package main

import (
	"context"
	"encoding/json"
	"fmt"
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
// come, the store is read at most once a second, and the copy is encoded only then and when a minute begins. A failed
// read fails the requests waiting for it, and is not kept.
type history struct {
	store  minuteReader
	flight singleflight.Group
	// The others are used only within flight, and so by one goroutine at a time.
	voted  []votestore.Minute
	readAt time.Time // when the read began
	day    day
}

// day is the encoded minutes of a day. Each answer ends with a part of it.
type day struct {
	to     time.Time // the last minute, still running
	rows   []byte    // in JSON, separated by commas
	begins []int     // where each minute begins in rows
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
	d, err := h.lastDay(r.Context())
	if err != nil {
		writeError(w, r, err)
		return
	}
	web.EncodedJSON(w, http.StatusOK, d.last(n))
}

// last returns the answer for the last n minutes.
func (d day) last(n int) []byte {
	from := d.to.Add(-time.Duration(n-1) * time.Minute)
	answer := fmt.Appendf(nil, `{"from":%q,"to":%q,"minutes":[`, from.Format(time.RFC3339), d.to.Format(time.RFC3339))
	return append(append(answer, d.rows[d.begins[maxMinutes-n]:]...), "]}\n"...)
}

// lastDay returns a day at most a second old, read once for all waiting requests if need be. The read goes on if the
// request that started it is cancelled; the store's policy bounds it.
func (h *history) lastDay(ctx context.Context) (day, error) {
	d, err, _ := h.flight.Do("", func() (any, error) {
		readAt := time.Now()
		to := readAt.UTC().Truncate(time.Minute)
		from := to.Add(-(maxMinutes - 1) * time.Minute)
		stale := readAt.Sub(h.readAt) >= rereadAfter
		if stale {
			voted, err := h.store.History(context.WithoutCancel(ctx), from)
			if err != nil {
				return day{}, err
			}
			h.voted, h.readAt = voted, readAt
		}
		if stale || !h.day.to.Equal(to) {
			h.day = encodeDay(h.voted, from, to)
		}
		return h.day, nil
	})
	return d.(day), err
}

// encodeDay encodes every minute of a day, with the votes where there are some.
func encodeDay(voted []votestore.Minute, from, to time.Time) day {
	counts := make(map[int64]ballot.Counts, len(voted)) // by the minute, in Unix seconds
	for _, m := range voted {
		counts[m.Start.Unix()] = m.Counts
	}
	d := day{to: to}
	for at := from; !at.After(to); at = at.Add(time.Minute) {
		if len(d.rows) > 0 {
			d.rows = append(d.rows, ',')
		}
		d.begins = append(d.begins, len(d.rows))
		row, _ := json.Marshal(minuteVotes{at, counts[at.Unix()]}) // times and numbers can be encoded
		d.rows = append(d.rows, row...)
	}
	return d
}
