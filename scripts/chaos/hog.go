package main

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// hog holds every connection that PostgreSQL gives, and cuts those of others, until there is none for anybody.
type hog struct {
	cancel context.CancelFunc
	held   sync.WaitGroup
}

// hogSeat is how long the hog waits before it asks for a seat that was not free.
const hogSeat = 50 * time.Millisecond

func newHog(url string) *hog {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hog{cancel: cancel}
	h.held.Go(func() {
		var conns []*pgx.Conn
		var seats []int32
		for ctx.Err() == nil {
			conn, err := connect(ctx, url)
			if err == nil {
				conns, seats = append(conns, conn), append(seats, int32(conn.PgConn().PID()))
				continue
			}
			if len(conns) > 0 {
				_, _ = conns[0].Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> all($1)`, seats)
			}
			select {
			case <-ctx.Done():
			case <-time.After(hogSeat):
			}
		}
		for _, conn := range conns {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = conn.Close(closing)
			cancel()
		}
	})
	return h
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return pgx.Connect(ctx, url)
}

// release lets all connections go and returns when they are closed.
func (h *hog) release() {
	h.cancel()
	h.held.Wait()
}
