package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"petvote/shared/votestream"
)

// errOverloaded says that more votes are in flight than can be answered in good time.
var errOverloaded = errors.New("too many votes in flight")

// admission publishes a bounded number of votes at once and refuses what comes beyond it, so that under more load than the
// service can bear those that it takes are answered as soon as ever, and the others at once.
type admission struct {
	next     publisher
	most     int64
	inFlight atomic.Int64
}

func (a *admission) Publish(ctx context.Context, m votestream.Message) error {
	defer a.inFlight.Add(-1)
	if a.inFlight.Add(1) > a.most {
		return errOverloaded
	}
	return a.next.Publish(ctx, m)
}

// inFlight is how many votes may be in flight at once. The default is some twentieth of what two cores accept in a second, and
// a sixteenth of what may wait inside the client of Redis.
type inFlight uint16

// UnmarshalText refuses 0, which would take no vote at all.
func (n *inFlight) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || v == 0 {
		return errors.New("not a number from 1 to 65535")
	}
	*n = inFlight(v)
	return nil
}
