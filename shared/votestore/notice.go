package votestore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"petvote/shared/tracecontext"
)

// channel is the name of PostgreSQL's notifications.
const channel = "tally_changed"

// Notice reports that the tally has changed.
type Notice struct {
	Traces []tracecontext.TraceContext // of the sampled votes in the change, up to a bound
	Oldest time.Time                   // cast time of the oldest vote, in whole ms; zero if unknown
}

// Merge combines two notices. It does not bound the traces.
func (n Notice) Merge(other Notice) Notice {
	n.Traces = append(n.Traces, other.Traces...)
	if n.Oldest.IsZero() || !other.Oldest.IsZero() && other.Oldest.Before(n.Oldest) {
		n.Oldest = other.Oldest
	}
	return n
}

// Subscription is a connection that receives notices. It is not safe for concurrent use.
type Subscription struct{ conn *pgx.Conn }

// Subscribe listens on a connection of its own. It misses earlier notices: read the tally afterwards.
func (s *Store) Subscribe(ctx context.Context) (*Subscription, error) {
	conn, err := pgx.ConnectConfig(ctx, s.listen)
	if err != nil {
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	sub := &Subscription{conn: conn}
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		_ = sub.Close() // the first error matters
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	return sub, nil
}

// A connection that is silent for pingAfter is pinged, and given up if the reply takes longer than pingTimeout.
const (
	pingAfter   = 5 * time.Second
	pingTimeout = time.Second
)

// Next waits for a notice. After an error other than the context's the subscription is unusable.
func (s *Subscription) Next(ctx context.Context) (Notice, error) {
	for {
		n, err := s.wait(ctx)
		if err == nil {
			return parseNotice(n.Payload), nil
		}
		if ctx.Err() != nil || !pgconn.Timeout(err) {
			return Notice{}, fmt.Errorf("wait for notice: %w", err)
		}
		if err := s.ping(ctx); err != nil {
			return Notice{}, fmt.Errorf("wait for notice: %w", err)
		}
	}
}

func (s *Subscription) wait(ctx context.Context) (*pgconn.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, pingAfter)
	defer cancel()
	return s.conn.WaitForNotification(ctx)
}

func (s *Subscription) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return s.conn.Ping(ctx)
}

// Close closes the connection.
func (s *Subscription) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}

func parseNotice(payload string) Notice {
	var n Notice
	for field := range strings.FieldsSeq(payload) {
		if ms, ok := strings.CutPrefix(field, oldestPrefix); !ok {
			n.Traces = append(n.Traces, tracecontext.TraceContext{Parent: field})
		} else if at, err := strconv.ParseInt(ms, 10, 64); err == nil {
			n.Oldest = time.UnixMilli(at).UTC()
		}
	}
	return n
}
