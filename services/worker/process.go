package main

import (
	"context"
	"fmt"
	"log/slog"

	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// recorder stores votes, each once by its id. It may be repeated.
type recorder interface {
	Record(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error)
}

// acker removes entries from the stream because they are stored or never can be.
type acker interface {
	Ack(ctx context.Context, entryIDs []string) error
	DeadLetter(ctx context.Context, failures []votestream.Failure) error
	// CountRetry notes that an entry is about to be retried in isolation and returns the number of such retries.
	CountRetry(ctx context.Context, entryID string) (int64, error)
	// ForgetRetries notes that such a retry has not killed the worker.
	ForgetRetries(ctx context.Context, entryID string) error
}

// processor stores a batch, then acknowledges it. An entry that can't be stored is dead-lettered and holds up no other.
type processor struct {
	store      recorder
	queue      acker
	maxRetries int64 // in isolation
}

// Process returns nil when every entry has left the stream, but for failed ones that could not be dead-lettered: these
// stay pending and are delivered again. After an error the whole batch is pending.
func (p *processor) Process(ctx context.Context, batch []votestream.Delivery) error {
	var failures []votestream.Failure
	votes := make([]votestream.Delivery, 0, len(batch))
	for _, d := range batch {
		if reason, err := p.reject(ctx, d, len(batch) == 1); err != nil {
			failures = append(failures, votestream.Failure{Delivery: d, Reason: reason, Err: err})
			continue
		}
		votes = append(votes, d)
	}
	stored, refused, err := p.record(ctx, votes)
	if err != nil {
		if len(batch) == 1 && quarantined(batch[0]) {
			if err := p.queue.ForgetRetries(context.WithoutCancel(ctx), batch[0].EntryID); err != nil {
				slog.WarnContext(ctx, "retry of a quarantined entry not forgotten", "entry", batch[0].Entry(), "error", err)
			}
		}
		return err
	}
	if len(stored) > 0 {
		if err := p.queue.Ack(ctx, stored); err != nil {
			return err
		}
	}
	if failures = append(failures, refused...); len(failures) == 0 {
		return nil
	}
	if err := p.queue.DeadLetter(ctx, failures); err != nil {
		slog.WarnContext(ctx, "dead-lettering failed; entries stay pending", "entries", len(failures), "error", err)
		return nil
	}
	for _, f := range failures {
		slog.WarnContext(ctx, "entry dead-lettered", "entry", f.Delivery.Entry(), "reason", string(f.Reason), "error", f.Err)
	}
	return nil
}

// reject returns why an entry must be dead-lettered without an attempt to store it; a nil error accepts it.
func (p *processor) reject(ctx context.Context, d votestream.Delivery, isolated bool) (votestream.Reason, error) {
	if d.Err != nil {
		return votestream.ReasonUndecodable, d.Err
	}
	if err := d.Message.Vote.Validate(); err != nil {
		return votestream.ReasonInvalid, err
	}
	if !isolated || !quarantined(d) {
		return "", nil
	}
	retries, err := p.queue.CountRetry(ctx, d.EntryID)
	if err != nil {
		slog.WarnContext(ctx, "retry of a quarantined entry not counted", "entry", d.Entry(), "error", err)
		return "", nil
	}
	if retries > p.maxRetries {
		return votestream.ReasonDeliveries,
			fmt.Errorf("delivered %d times, retried alone %d times and never acknowledged", d.Deliveries, p.maxRetries)
	}
	return "", nil
}

// record stores a batch. If the database refuses its data, record bisects it until the culprits are found.
func (p *processor) record(ctx context.Context, batch []votestream.Delivery) (
	stored []string, refused []votestream.Failure, err error,
) {
	if len(batch) == 0 {
		return nil, nil, nil
	}
	entries, ids := make([]votestore.Entry, len(batch)), make([]string, len(batch))
	for i, d := range batch {
		entries[i] = votestore.Entry{Vote: d.Message.Vote, Source: d.Entry().Bytes(), Trace: d.Message.Trace}
		ids[i] = d.EntryID
	}
	_, err = p.store.Record(ctx, entries)
	switch {
	case err == nil:
		return ids, nil, nil
	case !votestore.IsDataError(err):
		return nil, nil, err
	case len(batch) == 1:
		return nil, []votestream.Failure{{Delivery: batch[0], Reason: votestream.ReasonRejected, Err: err}}, nil
	}
	middle := len(batch) / 2
	for _, half := range [][]votestream.Delivery{batch[:middle], batch[middle:]} {
		s, r, err := p.record(ctx, half)
		if err != nil {
			return nil, nil, err
		}
		stored, refused = append(stored, s...), append(refused, r...)
	}
	return stored, refused, nil
}
