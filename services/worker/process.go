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

// acker takes entries out of the stream, because they are stored or because they are given up.
type acker interface {
	Ack(ctx context.Context, entryIDs []string) error
	DeadLetter(ctx context.Context, failures []votestream.Failure) error
	// CountRetry notes that an entry is about to be tried alone and returns how often it has been.
	CountRetry(ctx context.Context, entryID string) (int64, error)
}

// processor is the worker's business step: store a batch, then acknowledge it. What can't be stored goes to the dead
// letters and does not hold up the rest.
type processor struct {
	store    recorder
	queue    acker
	maxTries int64 // of an entry that was tried alone and never settled
}

// Process returns nil when every entry of the batch is out of the stream, or will be found again as pending (a dead
// letter that could not be moved). An error means that the whole batch is still pending.
func (p *processor) Process(ctx context.Context, batch []votestream.Delivery) error {
	var failures []votestream.Failure
	votes := make([]votestream.Delivery, 0, len(batch))
	for _, d := range batch {
		if reason, err := p.unfit(ctx, d, len(batch) == 1); err != nil {
			failures = append(failures, votestream.Failure{Delivery: d, Reason: reason, Err: err})
			continue
		}
		votes = append(votes, d)
	}
	stored, refused, err := p.record(ctx, votes)
	if err != nil {
		return err
	}
	if len(stored) > 0 {
		if err := p.queue.Ack(ctx, stored); err != nil {
			return err
		}
	}
	if failures = append(failures, refused...); len(failures) > 0 {
		if err := p.queue.DeadLetter(ctx, failures); err != nil {
			slog.WarnContext(ctx, "dead letters stay pending for now", "entries", len(failures), "error", err)
			return nil
		}
		for _, b := range failures {
			slog.WarnContext(ctx, "entry moved to the dead letters", "entry", b.Delivery.EntryID, "reason", string(b.Reason), "error", b.Err)
		}
	}
	return nil
}

// unfit says why an entry must not even be tried.
func (p *processor) unfit(ctx context.Context, d votestream.Delivery, alone bool) (votestream.Reason, error) {
	if d.Err != nil {
		return votestream.ReasonUndecodable, d.Err
	}
	if err := d.Message.Vote.Validate(); err != nil {
		return votestream.ReasonInvalid, err
	}
	if !alone || !suspect(d) {
		return "", nil
	}
	tries, err := p.queue.CountRetry(ctx, d.EntryID)
	if err != nil {
		slog.WarnContext(ctx, "trying a suspect without counting it", "entry", d.EntryID, "error", err)
		return "", nil
	}
	if tries > p.maxTries {
		return votestream.ReasonDeliveries, fmt.Errorf("handed out %d times, tried alone %d times and never settled", d.Deliveries, p.maxTries)
	}
	return "", nil
}

// record stores a batch. If the database refuses the data of some of it, halves are tried until the culprits are alone.
func (p *processor) record(ctx context.Context, batch []votestream.Delivery) (stored []string, refused []votestream.Failure, err error) {
	if len(batch) == 0 {
		return nil, nil, nil
	}
	entries, ids := make([]votestore.Entry, len(batch)), make([]string, len(batch))
	for i, d := range batch {
		entries[i] = votestore.Entry{Vote: d.Message.Vote, EntryID: d.EntryID, Trace: d.Message.Trace}
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
