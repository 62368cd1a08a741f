package systemtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/shared/ballot"
)

// transports are those of the official client, and its default: polling, then an upgrade.
var transports = []string{"polling", "websocket", "default"}

// socketEvent is a line of viewer.mjs.
type socketEvent struct {
	Event, Transport, Reason string
	Votes                    ballot.Counts
}

// socketViewer is the official client, in a process of its own.
type socketViewer struct {
	*rig
	name   string
	input  io.Closer
	events chan socketEvent // closed when it has ended
	ended  error            // how; set before events is closed

	connects int // so often connected, as far as read
}

// viewSocket starts a viewer of the result service.
func (r *rig) viewSocket(transports string) *socketViewer {
	r.t.Helper()
	return r.viewSocketAt(r.Result.URL(""), transports)
}

// viewSocketAt starts a viewer, which leaves at the end of the test at the latest.
func (r *rig) viewSocketAt(address, transports string) *socketViewer {
	r.t.Helper()
	packages := npmPackages(r.t, "socket.io")
	cmd := exec.Command("node", "testdata/socket.io/viewer.mjs", packages, address, transports)
	input, err := cmd.StdinPipe() // it ends with its input, and so with the test program
	r.must(err)
	output, err := cmd.StdoutPipe()
	r.must(err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r.must(cmd.Start())
	v := &socketViewer{rig: r, name: transports, input: input, events: make(chan socketEvent, 1000)}
	go func() {
		defer close(v.events)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			var e socketEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				v.events <- e
			}
		}
		if v.ended = cmd.Wait(); stderr.Len() > 0 {
			v.ended = errors.Join(v.ended, errors.New(stderr.String()))
		}
	}()
	r.t.Cleanup(func() {
		_ = input.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		for range v.events {
		}
	})
	return v
}

// leave disconnects the viewer and waits for its end.
func (v *socketViewer) leave() {
	v.t.Helper()
	_ = v.input.Close()
	for e := range v.events {
		if e.Event == "connect" {
			v.connects++
		}
		if e.Event == "disconnect" && e.Reason != "io client disconnect" {
			v.t.Errorf("%s: disconnected by %s", v.name, e.Reason)
		}
	}
	if v.ended != nil {
		v.t.Errorf("%s: %v", v.name, v.ended)
	}
}

// awaits reads on to an event of this name. Any other event that is not allowed before it fails the test.
func (v *socketViewer) awaits(name string, allowed ...string) socketEvent {
	v.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-v.events:
			if e.Event == "connect" {
				v.connects++
			}
			switch {
			case !ok:
				v.t.Fatalf("%s: the client ended: %v", v.name, v.ended)
			case e.Event == name:
				return e
			case !slices.Contains(allowed, e.Event):
				v.t.Fatalf("%s: %+v came before %s", v.name, e, name)
			}
		case <-timeout:
			v.t.Fatalf("%s: no %s", v.name, name)
		}
	}
}

// sees waits until the viewer has these votes, without a disconnect.
func (v *socketViewer) sees(want ballot.Counts) socketEvent {
	v.t.Helper()
	for {
		if e := v.awaits("current_votes", "connect", "upgrade"); e.Votes == want {
			return e
		}
	}
}

// TestSocketIOWithoutStickySessions runs the official client behind nginx, which sends each request to the next of the
// result services.
func TestSocketIOWithoutStickySessions(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	results := []*platform.Service{r.Result}
	for range 2 {
		s := r.describe(platform.Result)
		r.must(s.Start(t.Context()))
		results = append(results, s)
	}
	front := r.roundRobin(results...)
	var want ballot.Counts
	r.vote(ballot.Dogs)
	want.Dogs++
	for _, s := range results {
		r.eventually(func() error {
			var now struct{ Votes ballot.Counts }
			if err := platform.Get(t.Context(), s.URL("/api/tally"), &now); err != nil || now.Votes != want {
				return fmt.Errorf("%+v, %w", now, err)
			}
			return nil
		})
	}

	r.step("no viewer is disconnected in 6 s, and pushes come", func(r *rig) {
		var all []*socketViewer
		for range 3 {
			for _, transport := range transports {
				all = append(all, r.viewSocketAt(front, transport))
			}
		}
		for _, v := range all {
			v.awaits("connect")
			v.sees(want)
		}
		for range 12 {
			r.elapse(500 * time.Millisecond)
			r.vote(ballot.Cats)
			want.Cats++
		}
		for _, v := range all {
			by := v.sees(want).Transport
			if wanted := strings.Replace(v.name, "default", "websocket", 1); by != wanted {
				t.Errorf("%s: it came by %s", v.name, by)
			}
			v.leave()
			if v.connects != 1 {
				t.Errorf("%s: %d times connected", v.name, v.connects)
			}
		}
	})
	r.step("a killed service's viewers go on with the others", func(r *rig) {
		var all []*socketViewer
		for _, transport := range transports {
			v := r.viewSocketAt(front, transport)
			v.sees(want)
			all = append(all, v)
		}
		for _, s := range results[1:] {
			r.must(s.Kill())
		}
		r.vote(ballot.Lizards)
		want.Lizards++
		for _, v := range all {
			for v.awaits("current_votes", "connect", "disconnect", "upgrade").Votes != want {
			}
		}
		for _, s := range results[1:] {
			r.must(s.Start(t.Context()))
		}
		for _, v := range all {
			v.leave()
		}
	})
}

// roundRobin starts an nginx that sends each request to the next of the services, and returns its address.
func (r *rig) roundRobin(services ...*platform.Service) string {
	r.t.Helper()
	upstream := "map $http_upgrade $hop { default upgrade; '' ''; } upstream results { "
	for _, s := range services {
		upstream += "server " + s.Addr() + " fail_timeout=1s; "
	}
	n := r.nginx(servers.NginxConfig{
		Upstreams: upstream + "}",
		Site: `location / {
			proxy_pass http://results;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $hop;
		}`,
	})
	return "http://" + n.Addr()
}

// viewers waits until the gauge of a transport has a value.
func (r *rig) viewers(transport string, want int) {
	r.t.Helper()
	r.eventually(func() error {
		if n := sum(r.exported(r.Result), `petvote_viewers{transport="`+transport+`"}`); n != float64(want) {
			return fmt.Errorf("%v viewers by %s, want %d", n, transport, want)
		}
		return nil
	})
}

func TestSocketIOTheOfficialClientSeesVotes(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	want := ballot.Counts{Dogs: 1}
	r.vote(ballot.Dogs)
	r.shows(want)
	for _, transport := range transports {
		v := r.viewSocket(transport)
		v.awaits("connect")
		first := v.awaits("current_votes", "upgrade")
		if first.Votes != want {
			t.Errorf("%s: at first %+v, want %+v", transport, first.Votes, want)
		}
		by := transport
		if transport == "default" {
			by = "websocket"
			if first.Transport == "polling" {
				v.awaits("upgrade")
			}
		}
		for range 3 {
			r.vote(ballot.Cats)
			want.Cats++
			if e := v.sees(want); e.Transport != by {
				t.Errorf("%s: it came by %s", transport, e.Transport)
			}
		}
		r.viewers("socket.io", 1)
		v.leave()
		r.viewers("socket.io", 0)
	}
}

func TestSocketIOClientsMissNothing(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	counts := func() (c ballot.Counts) {
		for _, a := range r.ledger.Answers() {
			c.Add(a.Pet, 1)
		}
		return c
	}
	// A poll waits for news longer than the server gives any other answer.
	r.step("in a poll that waits long", func(r *rig) {
		v := r.viewSocket("polling")
		v.sees(counts())
		r.elapse(11 * time.Second) // the limit is 10 s
		r.vote(ballot.Lizards)
		v.sees(counts())
		v.leave()
	})
	r.step("during the upgrade from polling to websocket", func(r *rig) {
		var all []*socketViewer
		r.during(100, func() {
			for range 6 {
				v := r.viewSocket("default")
				v.awaits("upgrade", "connect", "current_votes")
				all = append(all, v)
			}
		})
		r.wantOnly(ledger.Accepted)
		for _, v := range all {
			v.sees(counts())
		}
		r.viewers("socket.io", len(all))
		for _, v := range all {
			v.leave()
		}
		r.viewers("socket.io", 0)
	})
	for how, end := range map[string]func(*rig) error{
		"when the service is killed":  func(r *rig) error { return r.Result.Kill() },
		"when the service is stopped": func(r *rig) error { return r.Result.Stop(r.t.Context()) }, // an error after 30 s
	} {
		r.step(how, func(r *rig) {
			r.drained()
			var all []*socketViewer
			for _, transport := range transports {
				v := r.viewSocket(transport)
				// A client that has paused its polling for the upgrade notices the end only by the pings that it misses.
				if e := v.sees(counts()); transport == "default" && e.Transport == "polling" {
					v.awaits("upgrade", "current_votes")
				}
				all = append(all, v)
			}
			r.must(end(r))
			r.vote(ballot.Dogs)
			for _, v := range all {
				// After "io server disconnect" a client would not come back. A poll that begins just then ends with an error.
				e := v.awaits("disconnect", "upgrade")
				clean := e.Reason == "transport close" || v.name == "polling" && e.Reason == "transport error"
				if how == "when the service is stopped" && !clean {
					r.t.Errorf("%s: disconnected with reason %q", v.name, e.Reason)
				}
			}
			r.drained()
			r.must(r.Result.Start(r.t.Context()))
			for _, v := range all {
				v.awaits("connect")
				if e := v.awaits("current_votes", "upgrade"); e.Votes != counts() {
					r.t.Errorf("%s: back again, at first %+v", v.name, e.Votes)
				}
			}
			r.vote(ballot.Dogs)
			for _, v := range all {
				v.sees(counts())
			}
		})
	}
}

// pollSession is a Socket.IO session by polling, by hand.
type pollSession struct {
	*rig
	url string
}

func (r *rig) pollSocket() *pollSession {
	r.t.Helper()
	s := &pollSession{r, r.Result.URL("/socket.io/?EIO=4&transport=polling")}
	var open struct{ SID string }
	r.must(json.Unmarshal([]byte(strings.TrimPrefix(s.poll(), "0")), &open))
	s.url += "&sid=" + open.SID
	s.fetch(http.MethodPost, s.url, "40")
	s.poll()
	return s
}

func (s *pollSession) poll() string {
	s.t.Helper()
	return s.page(s.url)
}

// sendNonsense sends packets that no client sends. None may end the service.
func (r *rig) sendNonsense() {
	r.t.Helper()
	before := r.Result.PID()
	const binary = "b"
	for _, packet := range []string{
		"42", "420", "42[]", "42{}", `42["current_votes",{"dogs":99}]`, `421["x"]`, "42/x,", "43", "430", "431[]", "44", "45",
		"451-", `451-["x",{"_placeholder":true,"num":0}]`, "46", "461-[]", "40", "40/x,", `40{"pid":1}`, "41", "4", "", "0",
		"1", "2", "3", "5", "6", "9", binary, binary + "!", binary + "QUFB",
		strings.Repeat("40/x,\x1e", 500), strings.Repeat("4", 5000),
	} {
		s := r.pollSocket()
		_, _ = exchange(r.t.Context(), http.MethodPost, s.url, packet) // it may be cut off
		if err := r.wantStatus(r.Result.URL("/healthz"), http.StatusOK); err != nil {
			r.t.Fatalf("after %.40q: %v", packet, err)
		}
	}
	v := r.pollSocket()
	r.vote(ballot.Cats)
	r.eventually(func() error {
		if got := v.poll(); !strings.Contains(got, `42["current_votes",{`) || !strings.Contains(got, `"cats":1`) {
			return fmt.Errorf("polled %q", got)
		}
		return nil
	})
	if !r.Result.Running() || r.Result.PID() != before {
		r.t.Error("the service did not survive")
	}
}
