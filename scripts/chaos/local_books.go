package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

func (t *localTarget) standings(ctx context.Context) (standings, error) {
	var s standings
	row := t.db.QueryRow(ctx, standingsSQL)
	if err := row.Scan(&s.rows.Dogs, &s.rows.Cats, &s.rows.Lizards, &s.tally.Dogs, &s.tally.Cats, &s.tally.Lizards, &s.duplicates); err != nil {
		return standings{}, fmt.Errorf("ask PostgreSQL: %w", err)
	}
	stream, err := t.queue.Stats(ctx)
	if err != nil {
		return standings{}, fmt.Errorf("ask Redis: %w", err)
	}
	s.added, s.waiting, s.deadEver = stream.Added, stream.Waiting+stream.InFlight, stream.Dead
	return s, nil
}

// standingsSQL counts the rows one by one, and so is not what the services rely on.
const standingsSQL = `select v.*, t.*, d.n
from (select count(*) filter (where pet = 'dogs'), count(*) filter (where pet = 'cats'), count(*) filter (where pet = 'lizards') from votes) v,
  (select sum(votes) filter (where pet = 'dogs')::bigint, sum(votes) filter (where pet = 'cats')::bigint, sum(votes) filter (where pet = 'lizards')::bigint from tally) t,
  duplicate_count d`

func (t *localTarget) storedSince(ctx context.Context, since time.Time) (map[uuid.UUID]ballot.Choice, error) {
	rows, err := t.db.Query(ctx, `select id, pet from votes where cast_at >= $1`, since)
	if err != nil {
		return nil, fmt.Errorf("read the votes: %w", err)
	}
	stored := make(map[uuid.UUID]ballot.Choice)
	var id uuid.UUID
	var pet string
	if _, err := pgx.ForEachRow(rows, []any{&id, &pet}, func() error { stored[id] = ballot.Choice(pet); return nil }); err != nil {
		return nil, fmt.Errorf("read the votes: %w", err)
	}
	return stored, nil
}

func (t *localTarget) queued(ctx context.Context) (int64, error) {
	return t.rdb.XLen(ctx, votestream.Stream).Result()
}

func (t *localTarget) stored(ctx context.Context) (n int64, err error) {
	err = t.db.QueryRow(ctx, `select sum(votes)::bigint from tally`).Scan(&n)
	return n, err
}

func (t *localTarget) health(ctx context.Context, service string) (health, error) {
	p := t.programs[service]
	return fetchHealth(ctx, p.url(p.ops)+"/readyz")
}

// fetchHealth reads what a service says of itself, whatever status it says it with.
func fetchHealth(ctx context.Context, url string) (health, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return health{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return health{}, err
	}
	defer response.Body.Close()
	var h health
	if err := json.NewDecoder(response.Body).Decode(&h); err != nil {
		return health{}, fmt.Errorf("%s: %w", url, err)
	}
	return h, nil
}

func (t *localTarget) lives(context.Context) (map[string]string, error) {
	all := make(map[string]string, len(services))
	for name, p := range t.programs {
		all[name] = "gone"
		if p.Running() {
			all[name] = strconv.Itoa(p.PID())
		}
	}
	return all, nil
}
