package local

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// NaiveCommand is the argument with which this program is the naive worker.
const NaiveCommand = "naive-worker"

// NaiveWorker works like the worker of many an example: it removes a vote from the queue, then stores it. In between
// only this process knows the vote. It exists to show that the proof notices what is lost then.
func NaiveWorker(ctx context.Context, environ []string) error {
	var cfg struct {
		config.Service
		Redis    votestream.Config
		Postgres votestore.Config
	}
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
	ops := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ready"}`) })}
	go func() { _ = ops.Serve(listener) }()
	defer ops.Close()

	for store.Migrate(ctx) != nil {
		if wait.For(ctx, time.Second) != nil {
			return nil
		}
	}
	for ctx.Err() == nil {
		if err := popAndStore(ctx, rdb, store); err != nil && ctx.Err() == nil {
			slog.Error("vote lost", "error", err)
			_ = wait.For(ctx, 100*time.Millisecond)
		}
	}
	return nil
}

// popAndStore moves one vote. A vote that it pops and can't store is lost.
func popAndStore(ctx context.Context, rdb *redis.Client, store *votestore.Store) error {
	entries, err := rdb.XRangeN(ctx, votestream.Stream, "-", "+", 1).Result()
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return wait.For(ctx, 5*time.Millisecond)
	}
	if err := rdb.XDel(ctx, votestream.Stream, entries[0].ID).Err(); err != nil {
		return err
	}
	v, err := readVote(entries[0].Values)
	if err != nil {
		return err
	}
	storing, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = store.Record(storing, []votestore.Entry{{Vote: v, EntryID: entries[0].ID}})
	return err
}

func readVote(fields map[string]any) (v ballot.Vote, err error) {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	if v.ID, err = uuid.Parse(text("id")); err == nil {
		v.Pet, err = ballot.ParseChoice(text("vote"))
	}
	if err == nil {
		v.CastAt, err = time.Parse(time.RFC3339Nano, text("cast_at"))
	}
	return v, err
}
