package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheScreenConnectsAgainAndNoticesNumbersThatRunBackwards(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := connections.Add(1)
		fmt.Fprintf(w, "retry: 1000\n\nevent: current_votes\ndata: {\"dogs\":%d,\"cats\":1,\"lizards\":0}\n\nevent: other\ndata: {\"dogs\":0}\n\n", 5-min(n, 2))
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s := watch(ctx, server.URL, time.Now())
	if err := eventually(ctx, 10*time.Second, func(context.Context) error {
		if pushes, _ := s.seen(); len(pushes) < 3 {
			return fmt.Errorf("%d pushes", len(pushes))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	cancel()
	s.watching.Wait()
	pushes, backwards := s.seen()
	if pushes[0].value != 5 || pushes[1].value != 4 || backwards != len(pushes)-1 {
		t.Errorf("%+v, %d of them backwards", pushes, backwards)
	}
	http.DefaultClient.CloseIdleConnections()
}
