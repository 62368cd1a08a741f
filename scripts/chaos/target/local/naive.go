package local

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"petvote/infra/wait"
	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// NaiveCommand is the argument with which this program is the naive worker.
const NaiveCommand = "naive-worker"

// NaiveWorker works like the worker of many an example: it removes a vote from the queue, then stores it. In between
// only this process knows the vote. It shows that the proof notices the loss.
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
	rdb := cfg.Redis.Dial(1)[0]
	defer rdb.Close()
	queue := votestream.NewQueue(rdb)
	consumer := votestream.NewConsumer(rdb, votestream.ConsumerOptions{
		Name: NaiveCommand, Block: 100 * time.Millisecond, ClaimIdle: time.Minute,
	})
	ready := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ready"}`) }
	go func() { // until the process ends
		slog.Error("ops server exited", "error", http.ListenAndServe(cfg.OpsPort.On(cfg.Host), http.HandlerFunc(ready)))
	}()

	for errors.Join(store.Migrate(ctx), queue.EnsureGroup(ctx)) != nil {
		if wait.For(ctx, time.Second) != nil {
			return nil
		}
	}
	for ctx.Err() == nil {
		if err := popAndStore(ctx, consumer, queue, store); err != nil && ctx.Err() == nil {
			slog.Error("vote lost", "error", err)
			_ = wait.For(ctx, 100*time.Millisecond)
		}
	}
	return nil
}

// popAndStore moves a vote, if there is one. A vote that it pops and can't store is lost.
func popAndStore(
	ctx context.Context, consumer *votestream.Consumer, queue *votestream.Queue, store *votestore.Store,
) error {
	batch, err := consumer.Next(ctx, 1, true)
	if err != nil || len(batch) == 0 {
		return err
	}
	entry := votestore.Entry{Vote: batch[0].Message.Vote}
	if err := queue.Ack(ctx, []string{batch[0].EntryID}); err != nil {
		return err
	}
	storing, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = store.Record(storing, []votestore.Entry{entry})
	return err
}
