package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// What a voter makes of an answer is what the proof stands on.
func TestAVoterKnowsWhatAnAnswerMeans(t *testing.T) {
	id := uuid.New()
	hang := make(chan struct{})
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   status
	}{
		"accepted": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, `{"status":"success","id":"`+id.String()+`","trace_id":"t"}`)
		}, accepted},
		"another vote's id": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, `{"status":"success","id":"`+uuid.NewString()+`"}`)
		}, wrong},
		"success without JSON": {func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `OK`) }, wrong},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			say(w, 503, `{"status":"error","message":"later"}`)
		}, refused},
		"refused without a time": {func(w http.ResponseWriter, _ *http.Request) { say(w, 503, `{"status":"error","message":"later"}`) }, wrong},
		"an error":               {func(w http.ResponseWriter, _ *http.Request) { say(w, 500, `{"status":"error"}`) }, wrong},
		"cut off":                {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unknown},
		"cut off in the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			say(w, 200, `{"status":`)
		}, unknown},
		"hung": {func(http.ResponseWriter, *http.Request) { <-hang }, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				c.answer(w, r)
			}))
			v := &voters{url: server.URL + "/vote", start: time.Now(), client: &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{}}}
			a := v.cast(t.Context(), id, ballot.Dogs)
			if name == "hung" {
				close(hang)
			}
			server.Close()
			v.client.CloseIdleConnections()
			if a.Status != c.want || a.Vote != id || requests != 1 {
				t.Errorf("%d requests, %+v, want %s", requests, a, c.want)
			}
		})
	}
	v := &voters{url: "http://127.0.0.1:1/vote", start: time.Now(), client: &http.Client{}}
	if a := v.cast(t.Context(), id, ballot.Dogs); a.Status != refused || !strings.Contains(a.Error, "refused") {
		t.Errorf("where nobody listens: %+v", a)
	}
}

func say(w http.ResponseWriter, code int, body string) {
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}
