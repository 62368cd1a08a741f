package voters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"petvote/infra/ledger"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The proof rests on how a voter reads an answer.
func TestAVoterKnowsWhatAnAnswerMeans(t *testing.T) {
	id := uuid.New()
	hang := make(chan struct{})
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   ledger.Status
	}{
		"accepted": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, `{"status":"success","id":"`+id.String()+`","trace_id":"t"}`)
		}, ledger.Accepted},
		"another vote's id": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, 200, `{"status":"success","id":"`+uuid.NewString()+`"}`)
		}, ledger.Wrong},
		"success without JSON": {func(w http.ResponseWriter, _ *http.Request) { say(w, 200, `OK`) }, ledger.Wrong},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			say(w, 503, `{"status":"error","message":"later"}`)
		}, ledger.Refused},
		"refused without a time": {func(w http.ResponseWriter, _ *http.Request) {
			say(w, 503, `{"status":"error","message":"later"}`)
		}, ledger.Wrong},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { say(w, 500, `{"status":"error"}`) }, ledger.Wrong},
		"cut off":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ledger.Unknown},
		"cut off in the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			say(w, 200, `{"status":`)
		}, ledger.Unknown},
		"hung": {func(http.ResponseWriter, *http.Request) { <-hang }, ledger.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				c.answer(w, r)
			}))
			client := NewClient(server.URL+"/vote", time.Now(), 500*time.Millisecond)
			a := client.Cast(t.Context(), id, ballot.Dogs)
			if name == "hung" {
				close(hang)
			}
			server.Close()
			client.Close()
			if a.Status != c.want || a.Vote != id || requests != 1 {
				t.Errorf("%d requests, %+v, want %s", requests, a, c.want)
			}
		})
	}
	client := NewClient("http://127.0.0.1:1/vote", time.Now(), 0)
	a := client.Cast(t.Context(), id, ballot.Dogs)
	if a.Status != ledger.Refused || !strings.Contains(a.Error, "refused") {
		t.Errorf("where nobody listens: %+v", a)
	}
}

func say(w http.ResponseWriter, code int, body string) {
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

// A vote that is refused is sent again under its key, and Wait waits for that.
func TestVotersRetryUnderTheSameKeyAndAreCountedOut(t *testing.T) {
	var mu sync.Mutex
	attempts := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		mu.Lock()
		defer mu.Unlock()
		if attempts[key]++; attempts[key] == 1 {
			w.Header().Set("Retry-After", "1")
			say(w, 503, `{"status":"error","message":"later"}`)
			return
		}
		say(w, 200, `{"status":"success","id":"`+key+`"}`)
	}))
	defer server.Close()
	l := ledger.New(nil)
	v := Start(t.Context(), Options{URL: server.URL + "/vote", Rate: 100, Retry: true, Record: l.Add})
	defer v.Stop()
	testenv.Eventually(t, func() error {
		if l.Count(ledger.Accepted) == 0 {
			return errors.New("no vote is accepted")
		}
		return nil
	})
	v.Stop()
	v.Wait()
	proof := ledger.Compare(l.Answers(), nil)
	if proof.Accepted != proof.Sent || proof.Retries != proof.Sent || proof.Sent != len(attempts) {
		t.Errorf("%+v of %d keys", proof, len(attempts))
	}
}

func TestAViewerConnectsAgainAndNoticesNumbersThatRunBackwards(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "retry: 1000\n\nevent: current_votes\ndata: {\"dogs\":%d,\"cats\":1,\"lizards\":0}\n\n"+
			"event: other\ndata: {\"dogs\":0}\n\n", 5-min(connections.Add(1), 2))
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	v := NewViewer(ctx, server.URL, SSE, time.Now())
	defer cancel()
	testenv.Eventually(t, func() error {
		if pushes, _ := v.Pushes(); len(pushes) < 3 {
			return fmt.Errorf("%d pushes", len(pushes))
		}
		return nil
	})
	cancel()
	v.Wait()
	pushes, backwards := v.Pushes()
	if pushes[0].Total != 5 || pushes[1].Total != 4 || backwards != len(pushes)-1 {
		t.Errorf("%+v, %d of them backwards", pushes, backwards)
	}
	http.DefaultClient.CloseIdleConnections()
}
