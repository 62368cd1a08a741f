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
	"strings"
	"testing"
	"time"

	"petvote/infra/ledger"
	"petvote/shared/ballot"
)

// transports are the ways of the official client: each alone, and its own choice, which begins with polling.
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
}

// viewSocket starts a viewer, which leaves with the test if it has not before.
func (r *rig) viewSocket(transports string) *socketViewer {
	r.t.Helper()
	cmd := exec.Command("node", "testdata/socket.io/viewer.mjs", npmPackages(r.t, "socket.io"), r.Result.URL(""), transports)
	input, err := cmd.StdinPipe() // it ends with its input, and so with the test program
	r.must(err)
	output, err := cmd.StdoutPipe()
	r.must(err)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
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
		if v.ended = cmd.Wait(); complaints.Len() > 0 {
			v.ended = errors.Join(v.ended, errors.New(complaints.String()))
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
		if e.Event == "disconnect" && e.Reason != "io client disconnect" {
			v.t.Errorf("%s: disconnected by %s", v.name, e.Reason)
		}
	}
	if v.ended != nil {
		v.t.Errorf("%s: %v", v.name, v.ended)
	}
}

// next is the next event, or fails the test.
func (v *socketViewer) next() socketEvent {
	v.t.Helper()
	select {
	case e, ok := <-v.events:
		if !ok {
			v.t.Fatalf("%s: the client ended: %v", v.name, v.ended)
		}
		return e
	case <-time.After(15 * time.Second):
		v.t.Fatalf("%s: nothing came", v.name)
	}
	return socketEvent{}
}

// awaits reads on to an event of this name. One that is not allowed before it fails the test.
func (v *socketViewer) awaits(name string, allowed ...string) socketEvent {
	v.t.Helper()
	for {
		e := v.next()
		if e.Event == name {
			return e
		}
		if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+e.Event+" ") {
			v.t.Fatalf("%s: %+v came before %s", v.name, e, name)
		}
	}
}

// shows waits until the viewer has these votes, without a disconnect.
func (v *socketViewer) shows(want ballot.Counts) socketEvent {
	v.t.Helper()
	for {
		if e := v.awaits("current_votes", "connect", "upgrade"); e.Votes == want {
			return e
		}
	}
}

// votes casts one.
func (r *rig) votes(pet ballot.Choice) {
	r.t.Helper()
	status, _, _, err := cast(r.t.Context(), r.Vote.URL("/vote"), string(pet), "")
	if err != nil || status != http.StatusOK {
		r.t.Fatalf("vote: status %d, %v", status, err)
	}
}

// shown waits until the result service has these votes.
func (r *rig) shown(want ballot.Counts) {
	r.t.Helper()
	r.eventually(func() error {
		a, err := r.tally()
		if err == nil && a.Votes != want {
			err = fmt.Errorf("shown %+v", a)
		}
		return err
	})
}

// viewers waits until the gauge of a transport has a value.
func (r *rig) viewers(transport string, want int) {
	r.t.Helper()
	r.eventually(func() error {
		resp, err := http.Get(r.Result.OpsURL("/metrics"))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), "} ")
			if strings.HasPrefix(name, "petvote_viewers{") && strings.Contains(name, `transport="`+transport+`"`) {
				if value != fmt.Sprint(want) {
					return fmt.Errorf("%s viewers by %s, want %d", value, transport, want)
				}
				return nil
			}
		}
		return errors.New("no such gauge")
	})
}

func TestSocketIOTheOfficialClientSeesVotes(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	want := ballot.Counts{Dogs: 1}
	r.votes(ballot.Dogs)
	r.shown(want)
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
			r.votes(ballot.Cats)
			want.Cats++
			if e := v.shows(want); e.Transport != by {
				t.Errorf("%s: it came by %s", transport, e.Transport)
			}
		}
		r.viewers("socket.io", 1)
		v.leave()
		r.viewers("socket.io", 0)
	}
}

// Frames that are pushed while a client changes from polling to websocket are neither lost nor the end of it.
func TestSocketIOVotesDuringTheUpgradeArrive(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	var viewers []*socketViewer
	r.during(100, func() {
		for range 6 {
			v := r.viewSocket("default")
			v.awaits("upgrade", "connect", "current_votes")
			viewers = append(viewers, v)
		}
	})
	r.wantOnly(ledger.Accepted)
	var want ballot.Counts
	for _, a := range r.ledger.Answers() {
		want.Add(a.Pet, 1)
	}
	for _, v := range viewers {
		v.shows(want)
	}
	r.viewers("socket.io", len(viewers))
	for _, v := range viewers {
		v.leave()
	}
	r.viewers("socket.io", 0)
}

func TestSocketIOClientsComeBackAfterTheServiceWasKilled(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	r.shown(ballot.Counts{})
	var viewers []*socketViewer
	for _, transport := range transports {
		v := r.viewSocket(transport)
		v.shows(ballot.Counts{})
		viewers = append(viewers, v)
	}
	r.must(r.Result.Kill())
	r.votes(ballot.Dogs)
	for _, v := range viewers {
		v.awaits("disconnect", "upgrade")
	}
	r.drained()
	r.must(r.Result.Start(t.Context()))
	for _, v := range viewers {
		v.awaits("connect")
		if e := v.awaits("current_votes", "upgrade"); e.Votes != (ballot.Counts{Dogs: 1}) {
			t.Errorf("%s: back again, at first %+v", v.name, e.Votes)
		}
	}
	r.votes(ballot.Dogs)
	for _, v := range viewers {
		v.shows(ballot.Counts{Dogs: 2})
	}
}

func TestSocketIOClientsAreDisconnectedCleanlyByAStop(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	r.shown(ballot.Counts{})
	var viewers []*socketViewer
	for _, transport := range transports {
		v := r.viewSocket(transport)
		v.shows(ballot.Counts{})
		viewers = append(viewers, v)
	}
	start := time.Now()
	r.must(r.Result.Stop(t.Context()))
	if took := time.Since(start); took > 3*time.Second || r.Result.Err() != nil {
		t.Errorf("stopped after %v with %v", took, r.Result.Err())
	}
	for _, v := range viewers {
		// Its own reason for "the server has closed"; after "io server disconnect" it would not come back.
		if e := v.awaits("disconnect", "upgrade"); e.Reason != "transport close" {
			t.Errorf("%s: disconnected with reason %q", v.name, e.Reason)
		}
	}
	r.must(r.Result.Start(t.Context()))
	for _, v := range viewers {
		v.awaits("connect")
		v.shows(ballot.Counts{})
	}
}

// A poll waits for news longer than the server waits for any other answer to be written.
func TestSocketIOAPollThatWaitsLongIsAnswered(t *testing.T) {
	t.Parallel()
	npmPackages(t, "socket.io")
	r := newRig(t)
	v := r.viewSocket("polling")
	v.shows(ballot.Counts{})
	time.Sleep(11 * time.Second) // the limit is 10 s
	r.votes(ballot.Lizards)
	v.shows(ballot.Counts{Lizards: 1})
	v.leave()
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
	r.must(json.Unmarshal([]byte(strings.TrimPrefix(s.exchange(http.MethodGet, ""), "0")), &open))
	s.url += "&sid=" + open.SID
	s.exchange(http.MethodPost, "40")
	s.exchange(http.MethodGet, "")
	return s
}

func (s *pollSession) exchange(method, body string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url, strings.NewReader(body))
	s.must(err)
	resp, err := client.Do(req)
	s.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	s.must(err)
	return string(answer)
}

func TestSocketIONothingAViewerSendsEndsTheService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const binary = "b"
	for _, packet := range []string{
		"42", "420", "42[]", "42{}", `42["current_votes",{"dogs":99}]`, `421["x"]`, "42/x,", "43", "430", "431[]", "44", "45", "451-", `451-["x",{"_placeholder":true,"num":0}]`,
		"46", "461-[]", "40", "40/x,", `40{"pid":1}`, "41", "4", "", "0", "1", "2", "3", "5", "6", "9", binary, binary + "!", binary + "QUFB",
		strings.Repeat("40/x,\x1e", 500), strings.Repeat("4", 5000),
	} {
		s := r.pollSocket()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(packet))
		r.must(err)
		if resp, err := client.Do(req); err == nil { // it may as well be cut off
			_ = resp.Body.Close()
		}
		if err := wantStatus(r.Result.URL("/healthz"), http.StatusOK); err != nil {
			t.Fatalf("after %.40q: %v", packet, err)
		}
	}
	before := r.Result.PID()
	v := r.pollSocket()
	r.votes(ballot.Dogs)
	r.shown(ballot.Counts{Dogs: 1})
	r.eventually(func() error {
		if got := v.exchange(http.MethodGet, ""); !strings.Contains(got, `42["current_votes",{"dogs":1,"cats":0,"lizards":0}]`) {
			return fmt.Errorf("polled %q", got)
		}
		return nil
	})
	if !r.Result.Running() || r.Result.PID() != before {
		t.Error("the service did not live through it")
	}
}
