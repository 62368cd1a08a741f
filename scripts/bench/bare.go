package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"petvote/infra/servers"
	"petvote/shared/ballot"
)

// bareCommand makes this program the handler that the vote service is compared with, in a process of its own as the service is.
const bareCommand = "serve-bare"

// serveBare parses the same JSON as the vote service, checks the pet and answers. It does nothing else.
func serveBare(ctx context.Context, addr string) int {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	server := &http.Server{Handler: http.HandlerFunc(answerBare)}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

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
func startBare(ctx context.Context) (*service, error) {
	port, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &service{port: port}
	s.Process = servers.NewProcess(servers.Spec{
		Name: "bare handler", Path: self, Args: []string{bareCommand, s.addr()},
		Ready: func(ctx context.Context, _ int) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr())
			if err != nil {
				return err
			}
			return conn.Close()
		},
	})
	return s, s.Start(ctx)
}

// newSink takes traces and drops them, for the runs that are not about a collector.
func newSink() (*http.Server, string, error) {
	listener, err := net.Listen("tcp", servers.Loopback+":0")
	if err != nil {
		return nil, "", err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what does not arrive is not missed
		w.Header().Set("Content-Type", "application/x-protobuf")
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return server, "http://" + listener.Addr().String(), nil
}
