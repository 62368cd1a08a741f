package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// patience is how late a vote may be sent, because every connection is taken, before its voter goes away.
const patience = time.Second

// follow sends the votes of a schedule when they are due. The times are counted from then. Where votes may be shed, 503 with Retry-After is
// no error, and its voter does not come back.
func (c crowd) follow(ctx context.Context, s schedule, mayShed bool) (*answers, error) {
	var next atomic.Int64
	return c.each(ctx, time.Until(s.due(s.votes)), func(v *voter, mine *answers) error {
		for ctx.Err() == nil {
			k := next.Add(1) - 1
			if k >= s.votes {
				return nil
			}
			due := s.due(k)
			if wait := time.Until(due); wait > 0 {
				if err := pause(ctx, wait); err != nil {
					return err
				}
			} else if mayShed && -wait > patience {
				continue
			}
			status, err := v.vote()
			if err != nil && !v.answered {
				// The service closes a connection on which nothing comes for 2 s; a client then takes another.
				if err = v.redial(ctx); err == nil {
					status, err = v.vote()
				}
			}
			switch {
			case err != nil:
				return err
			case status == http.StatusOK:
				mine.accepted++
				mine.times = append(mine.times, time.Since(due))
			case status == http.StatusServiceUnavailable && mayShed:
				mine.shed++
			default:
				return fmt.Errorf("a vote was answered with status %d", status)
			}
		}
		return nil
	})
}
