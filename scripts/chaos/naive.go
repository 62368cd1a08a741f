package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"petvote/shared/ballot"
	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// naiveCommand makes this program be the naive worker.
const naiveCommand = "naive-worker"

// naiveSettings are the worker's, as far as this one has any use for them.
type naiveSettings struct {
	config.Service
	Redis    votestream.Config
	Postgres votestore.Config
}

// naiveWorker does what the worker of many an example does: take a vote out of the queue, then write it down. Between the two
// nobody but this process knows the vote. It is here to show that the proof sees what is lost then.
func naiveWorker(ctx context.Context, environ []string) error {
	var cfg naiveSettings
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	store, err := cfg.Postgres.Open(ctx, 2, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	rdb := cfg.Redis.Dial(1)
	defer rdb.Close()
	listener, err := net.Listen("tcp", cfg.OpsPort.On(cfg.Host))
	if err != nil {
		return err
	}
	ops := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ready"}`) // it always thinks so
	})}
	go func() { _ = ops.Serve(listener) }()
	defer ops.Close()

	for migrated := false; !migrated; {
		if err := store.Migrate(ctx); err == nil {
			migrated = true
		} else if wait(ctx, time.Second) != nil {
			return nil
		}
	}
	for ctx.Err() == nil {
		if err := popAndWrite(ctx, rdb, store); err != nil && ctx.Err() == nil {
			slog.Error("a vote is gone", "error", err)
			_ = wait(ctx, 100*time.Millisecond)
		}
	}
	return nil
}

// popAndWrite moves one vote. What it has popped and can't write is lost.
func popAndWrite(ctx context.Context, rdb *goredis.Client, store *votestore.Store) error {
	entries, err := rdb.XRangeN(ctx, votestream.Stream, "-", "+", 1).Result()
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return wait(ctx, 5*time.Millisecond)
	}
	if err := rdb.XDel(ctx, votestream.Stream, entries[0].ID).Err(); err != nil {
		return err
	}
	v, err := readVote(entries[0].Values)
	if err != nil {
		return err
	}
	writing, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = store.Record(writing, []votestore.Entry{{Vote: v, EntryID: entries[0].ID}})
	return err
}

func readVote(fields map[string]any) (v ballot.Vote, err error) {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	if v.ID, err = uuid.Parse(text("id")); err != nil {
		return ballot.Vote{}, err
	}
	if v.Pet, err = ballot.ParseChoice(text("vote")); err != nil {
		return ballot.Vote{}, err
	}
	v.CastAt, err = time.Parse(time.RFC3339Nano, text("cast_at"))
	return v, err
}
