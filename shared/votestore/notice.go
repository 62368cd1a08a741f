package votestore

import (
	"context"
	"errors"
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

// ErrNoNotices reports that no notice reaches a subscription, though its connection works.
var ErrNoNotices = errors.New("LISTEN receives nothing, as behind a pooler that keeps no session")

// Subscription is a connection that receives notices. It is not safe for concurrent use.
type Subscription struct {
	conn *pgx.Conn
	send func(ctx context.Context, payload string) error
	held *pgconn.Notification // received by Check
}

// Subscribe listens on a connection of its own. It misses earlier notices: read the tally afterwards.
func (s *Store) Subscribe(ctx context.Context) (*Subscription, error) {
	conn, err := pgx.ConnectConfig(ctx, s.listen)
	if err != nil {
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	sub := &Subscription{conn: conn, send: func(ctx context.Context, payload string) error {
		_, err := s.pool.Exec(ctx, "select pg_notify('"+channel+"', $1)", payload)
		return err
	}}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		_ = sub.Close() // the first error matters
		return nil, fmt.Errorf("subscribe to notices: %w", err)
	}
	return sub, nil
}

// A subscription that is silent for checkAfter is checked, and given up if its connection does not answer in
// pingTimeout or a notice does not come in arrivalTimeout.
const (
	checkAfter     = 5 * time.Second
	pingTimeout    = time.Second
	arrivalTimeout = 3 * time.Second
)

// probe is the payload of a notice that changes nothing.
const probe = "probe"

// Next waits for a notice. After an error other than the context's the subscription is unusable.
func (s *Subscription) Next(ctx context.Context) (Notice, error) {
	for {
		n, err := s.held, error(nil)
		if s.held = nil; n == nil {
			n, err = s.wait(ctx, checkAfter)
		}
		switch {
		case err == nil && n.Payload != probe:
			return parseNotice(n.Payload), nil
		case err == nil:
		case ctx.Err() != nil || !pgconn.Timeout(err):
			return Notice{}, fmt.Errorf("wait for notice: %w", err)
		default:
			if err := s.Check(ctx); err != nil {
				return Notice{}, err
			}
		}
	}
}

// Check sends a notice by the store's other connections and returns nil once one has come, or if none could be sent. It
// returns [ErrNoNotices] if none comes though the subscription's connection works.
func (s *Subscription) Check(ctx context.Context) error {
	if s.held != nil {
		return nil
	}
	sent := bounded(ctx, pingTimeout, func(ctx context.Context) error { return s.send(ctx, probe) })
	if sent == nil {
		var err error
		if s.held, err = s.wait(ctx, arrivalTimeout); err == nil {
			return nil
		}
	}
	err := bounded(ctx, pingTimeout, s.conn.Ping)
	if err == nil && sent == nil {
		err = ErrNoNotices
	}
	if err != nil {
		return fmt.Errorf("check subscription: %w", err)
	}
	return nil
}

func (s *Subscription) wait(ctx context.Context, limit time.Duration) (n *pgconn.Notification, err error) {
	err = bounded(ctx, limit, func(ctx context.Context) error {
		n, err = s.conn.WaitForNotification(ctx)
		return err
	})
	return n, err
}

func bounded(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// Close closes the connection.
func (s *Subscription) Close() error {
	return bounded(context.Background(), pingTimeout, s.conn.Close)
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
