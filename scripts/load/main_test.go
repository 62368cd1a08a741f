package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// booth stands in for the vote service: it remembers keys and pets, and refuses every tenth vote if deny is set.
type booth struct {
	mu   sync.Mutex
	keys map[string]bool
	pets map[string]int
	deny bool
}

func (b *booth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var vote struct{ Pet string }
	err := json.NewDecoder(r.Body).Decode(&vote)
	b.mu.Lock()
	defer b.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	b.keys[key] = true
	b.pets[vote.Pet]++
	if err != nil || r.URL.Path != "/vote" || b.deny && len(b.keys)%10 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, `{"status":"success","id":%q}`, key)
}

func newBooth(t *testing.T) (*booth, string) {
	t.Helper()
	b := &booth{keys: map[string]bool{}, pets: map[string]int{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, server.URL
}

func TestEveryVoteHasAKeyOfItsOwnAndThePetsAreEven(t *testing.T) {
	b, url := newBooth(t)
	var out, progress bytes.Buffer
	if code := run(t.Context(), []string{"-url", url, "-rate", "300", "-duration", "1200ms"}, &out, &progress); code != 0 {
		t.Errorf("exit status %d\n%s%s", code, &out, &progress)
	}
	if len(b.keys) != 360 || b.pets["dogs"] != 120 || b.pets["cats"] != 120 || b.pets["lizards"] != 120 {
		t.Errorf("%d keys, pets %v", len(b.keys), b.pets)
	}
	if !strings.Contains(out.String(), "accepted  360\n") || !strings.Contains(progress.String(), "   1 s  ") {
		t.Errorf("it says\n%s%s", &out, &progress)
	}
}

func TestRefusedVotesAreCountedAndEndInStatus1(t *testing.T) {
	b, url := newBooth(t)
	b.deny = true
	var out bytes.Buffer
	args := []string{"-url", url + "/", "-rate", "100", "-duration", "200ms"}
	code := run(t.Context(), args, &out, &bytes.Buffer{})
	if code != 1 || !strings.Contains(out.String(), "refused   2\n") {
		t.Errorf("exit status %d\n%s", code, &out)
	}
}

func TestCtrlCEndsItWithASummary(t *testing.T) {
	_, url := newBooth(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	start := time.Now()
	run(ctx, []string{"-url", url, "-duration", "1h"}, &out, &bytes.Buffer{})
	if took := time.Since(start); took > 10*time.Second || !strings.Contains(out.String(), "accepted") {
		t.Errorf("after %v: %s", took, &out)
	}
}

func TestBadArgumentsEndInStatus2(t *testing.T) {
	for _, args := range [][]string{
		{"-rate", "0"}, {"-rate", "many"}, {"-duration", "0s"}, {"-timeout", "0s"}, {"more"},
		{"-url", "localhost:8084"}, {"-url", "http://"}, {"-url", "http://vote.example"}, {"-url", "http://192.0.2.1:8084"},
	} {
		var said bytes.Buffer
		if code := run(t.Context(), args, &bytes.Buffer{}, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%q: exit status %d, %s", args, code, &said)
		}
	}
	if code := run(t.Context(), []string{"-help"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 0 {
		t.Errorf("-help: exit status %d", code)
	}
}
