package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"petvote/shared/ballot"
)

// screen is what an open results page is told, by server-sent events, over the whole scenario.
type screen struct {
	mu        sync.Mutex
	pushes    []reading
	last      ballot.Counts
	most      ballot.Counts
	backwards int
	watching  sync.WaitGroup
}

// reading is a number that was seen at a time, in seconds since the scenario began.
type reading struct {
	at    float64
	value int64
}

const reconnect = 200 * time.Millisecond

// watch follows the results until ctx is done, connecting again as often as it takes. The returned screen is filled meanwhile.
func watch(ctx context.Context, base string, start time.Time) *screen {
	s := &screen{}
	s.watching.Go(func() {
		for ctx.Err() == nil {
			s.follow(ctx, base+"/events", start)
			select {
			case <-ctx.Done():
			case <-time.After(reconnect):
			}
		}
	})
	return s
}

// follow reads one connection to its end, which comes with the service's.
func (s *screen) follow(ctx context.Context, url string, start time.Time) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	event := ""
	for lines.Scan() {
		switch field, value, _ := strings.Cut(lines.Text(), ": "); {
		case field == "event":
			event = value
		case field == "data" && event == "current_votes":
			var counts ballot.Counts
			if json.Unmarshal([]byte(value), &counts) == nil {
				s.show(time.Since(start).Seconds(), counts)
			}
		}
	}
}

func (s *screen) show(at float64, counts ballot.Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if counts.Dogs < s.most.Dogs || counts.Cats < s.most.Cats || counts.Lizards < s.most.Lizards {
		s.backwards++
	}
	s.most = ballot.Counts{Dogs: max(s.most.Dogs, counts.Dogs), Cats: max(s.most.Cats, counts.Cats), Lizards: max(s.most.Lizards, counts.Lizards)}
	s.last, s.pushes = counts, append(s.pushes, reading{at, counts.Total()})
}

// shows is the last push.
func (s *screen) shows() ballot.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// seen are the pushes so far, and how many of them had a smaller number than one before.
func (s *screen) seen() ([]reading, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pushes[:len(s.pushes):len(s.pushes)], s.backwards
}
