package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/shared/ballot"
)

// bareCommand makes this program the handler that the vote service is compared with, in a process of its own as the
// service is.
const bareCommand = "serve-bare"

func serveBare(ctx context.Context, addr string) int {
	server := &http.Server{Addr: addr, Handler: http.HandlerFunc(answerBare)}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// answerBare parses the same JSON as the vote service, checks the pet and answers. It does nothing else.
func answerBare(w http.ResponseWriter, r *http.Request) {
	var vote struct {
		Pet string `json:"pet"`
	}
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &vote)
	}
	if err == nil {
		_, err = ballot.ParseChoice(vote.Pet)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "success"}) // the client is gone if this fails
}

// startBare starts it; the caller kills it.
func startBare(ctx context.Context) (*platform.Service, error) {
	port, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &platform.Service{Port: port}
	s.Process = servers.NewProcess(servers.Spec{
		Name: "bare handler", Path: self, Args: []string{bareCommand, s.Addr()},
		Ready: func(context.Context, int) error {
			conn, err := dial(s.Addr())
			if err == nil {
				err = conn.Close()
			}
			return err
		},
	})
	return s, s.Start(ctx)
}
