package systemtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"petvote/shared/ballot"
)

// posting is one POST /vote of a page. Its times are on a clock that all tabs share.
type posting struct {
	key            string
	sent, answered time.Duration
	status         int           // 0: no answer
	retryAfter     time.Duration // as the answer asks
}

// postings records every POST /vote of some tabs.
type postings struct {
	mu   sync.Mutex
	made map[network.RequestID]*posting
}

// open opens a tab whose postings are recorded.
func (s *postings) open(r *rig, browser context.Context) *tab {
	r.t.Helper()
	p := r.open(browser, r.Vote.URL("/"))
	r.must(chromedp.Listen(p.ctx, s.note))
	return p
}

func (s *postings) note(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.Method == "POST" && strings.HasSuffix(e.Request.URL, "/vote") {
			key, _ := e.Request.Headers["Idempotency-Key"].(string)
			s.made[e.RequestID] = &posting{key: key, sent: since(e.Timestamp.Float64())}
		}
	case *network.EventResponseReceived:
		if p := s.made[e.RequestID]; p != nil {
			text, _ := e.Response.Headers["Retry-After"].(string)
			seconds, _ := strconv.Atoi(text)
			p.status, p.answered = int(e.Response.Status), since(e.Timestamp.Float64())
			p.retryAfter = time.Duration(seconds) * time.Second
		}
	}
}

// all returns them in the order of sending.
func (s *postings) all() []posting {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []posting
	for _, p := range s.made {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b posting) int { return int(a.sent - b.sent) })
	return list
}

// readOutbox returns the votes that the browser holds, by key.
func readOutbox(p *tab) (map[uuid.UUID]ballot.Choice, error) {
	return look[map[uuid.UUID]ballot.Choice](p, `Object.fromEntries(
		Object.values(localStorage).map((item) => JSON.parse(item)).map(({ key, pet }) => [key, pet]))`)
}

func waiting(n int) func(votePage) bool { return func(v votePage) bool { return v.Waiting == n } }

// sentOnce checks that the outbox held the votes that were cast, and that after the recovery each was sent once, by one
// of the tabs, and stored under its key. The recovery is when the first of them is accepted.
func (r *rig) sentOnce(sent *postings, kept map[uuid.UUID]ballot.Choice, cast []ballot.Choice, tabs ...*tab) {
	r.t.Helper()
	if pets := slices.Sorted(maps.Values(kept)); !slices.Equal(pets, cast) {
		r.t.Fatalf("kept: %v, want %v", kept, cast)
	}
	for _, p := range tabs {
		until(p, readVotePage, waiting(-1))
		if left, err := look[int](p, `localStorage.length`); err != nil || left != 0 {
			r.t.Errorf("%d items are left in the browser, %v", left, err)
		}
	}
	r.drained()
	if stored := r.stored(); !maps.Equal(stored, kept) {
		r.t.Errorf("stored: %v, want what was kept: %v", stored, kept)
	}
	accepted := map[string]int{}
	recovered := false
	for _, p := range sent.all() {
		recovered = recovered || p.status == 200
		if recovered {
			accepted[p.key]++
		}
	}
	for key := range kept {
		if n := accepted[key.String()]; n != 1 {
			r.t.Errorf("vote %s was sent %d times after the recovery", key, n)
		}
	}
	if len(accepted) != len(kept) || r.t.Failed() {
		r.t.Errorf("kept: %v, sent: %+v", kept, sent.all())
	}
	for _, p := range tabs {
		p.quiet()
	}
}

func TestBrowserOutboxKeepsVotesWhileRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	sent := &postings{made: map[network.RequestID]*posting{}}
	first := sent.open(r, b)
	r.must(r.Redis.Kill())
	first.click(choice(ballot.Dogs))
	v := until(first, readVotePage, func(v votePage) bool {
		return v.State == "waiting" && v.Waiting == 1 && states(v.Journey) == "now open open open"
	})
	if !strings.HasPrefix(v.Text, "Your vote for dogs is kept in this browser") ||
		v.Journey[0].What != "kept here until the server accepts it" || len(v.Links) > 0 {
		t.Errorf("the page shows %+v", v)
	}
	first.click(choice(ballot.Lizards))
	until(first, readVotePage, waiting(2))
	first.reload()
	second := sent.open(r, b)
	for _, p := range []*tab{first, second} {
		until(p, readVotePage, waiting(2))
	}
	kept, err := readOutbox(second)
	r.must(err)

	// The tabs wait for as long as the server asks: early counts the postings that came before that.
	early := func() (early, repeated int) {
		due := map[string]time.Duration{}
		for _, p := range sent.all() {
			if at, again := due[p.key]; again {
				repeated++
				if p.sent < at {
					early++
				}
			}
			if p.status == 503 && p.retryAfter < time.Second {
				t.Errorf("refused with Retry-After of %v", p.retryAfter)
			}
			due[p.key] = p.answered + p.retryAfter
		}
		return early, repeated
	}
	r.eventually(func() error {
		if _, repeated := early(); repeated < 6 {
			return fmt.Errorf("sent again %d times", repeated)
		}
		return nil
	})
	if n, _ := early(); n > 0 {
		t.Errorf("%d were sent earlier than the server asked for: %+v", n, sent.all())
	}
	// A person need not wait.
	r.eventually(func() error {
		second.click("#waiting-send")
		if n, _ := early(); n == 0 {
			return errors.New("nothing is sent at once")
		}
		return nil
	})

	r.must(r.Redis.Start(t.Context()))
	r.sentOnce(sent, kept, []ballot.Choice{ballot.Dogs, ballot.Lizards}, first, second)
	// The status is about the last of them, the journey about the first.
	v = until(second, readVotePage, func(v votePage) bool { return accepted(v) && arrived(v.Journey) })
	if kept[r.voteOf(v)] == "" || !strings.Contains(v.Text, ", kept since") ||
		v.Journey[0].What == "kept here until the server accepts it" {
		t.Errorf("at the end the page shows %+v", v)
	}
	if _, refused := first.found(); len(refused) == 0 {
		t.Error("no request of the first page failed")
	}
}

func TestBrowserOutboxWhileTheVoteServiceIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	r.step("gives up votes that the server refuses", func(r *rig) {
		sent := &postings{made: map[network.RequestID]*posting{}}
		vote := sent.open(r, b)
		vote.do(chromedp.SetAttributeValue(chromedp.CSS(choice(ballot.Cats)), "value", "birds"))
		r.must(r.Vote.Pause())
		vote.click(choice("birds"))
		until(vote, readVotePage, func(v votePage) bool { return v.State == "sending" && v.Mine["birds"] == "+1" })
		r.must(r.Vote.Resume())
		v := until(vote, readVotePage, func(v votePage) bool { return v.State == "refused" && v.Mine["birds"] == "" })
		if v.Text != "Your vote for birds was refused: Invalid pet choice." || len(v.Links) > 0 ||
			states(v.Journey) != "failed open open open" || v.Journey[0].What != "the server refused it" {
			r.t.Errorf("the page shows %+v", v)
		}

		// One that was kept, and then edited by hand.
		vote.run(`localStorage.setItem('petvote.kept.mine',
			JSON.stringify({ key: 'mine', pet: 'dogs', at: 0, due: 0, failures: 1 }))`)
		vote.reload()
		v = until(vote, readVotePage, func(v votePage) bool { return v.State == "refused" && v.Waiting == -1 })
		if !strings.HasPrefix(v.Text, "Your vote for dogs was refused: Idempotency-Key is not a UUID") {
			r.t.Errorf("the page says %q", v.Text)
		}
		if left, err := readOutbox(vote); err != nil || len(left) > 0 {
			r.t.Errorf("a refused vote is still kept: %v, %v", left, err)
		}
		if all := sent.all(); len(all) != 2 {
			r.t.Errorf("two refusals, and sent: %+v", all)
		}
		r.drained()
		if stored := r.stored(); len(stored) > 0 {
			r.t.Errorf("stored: %v", stored)
		}
	})
	r.step("keeps the votes of two tabs", func(r *rig) {
		sent := &postings{made: map[network.RequestID]*posting{}}
		tabs := []*tab{sent.open(r, b), sent.open(r, b)}
		r.must(r.Vote.Kill())
		for i, p := range tabs {
			p.click(choice(ballot.Cats))
			v := until(p, readVotePage, func(v votePage) bool { return v.State == "waiting" })
			if !strings.Contains(v.Text, "because the server could not be reached") {
				r.t.Errorf("the page says %q", v.Text)
			}
			for _, p := range tabs {
				until(p, readVotePage, waiting(i+1))
			}
		}
		kept, err := readOutbox(tabs[0])
		r.must(err)
		tabs[0].do(chromedp.Navigate("about:blank")) // a voter who leaves, and comes back with the service

		r.must(r.Vote.Start(r.t.Context()))
		tabs[0].do(chromedp.Navigate(r.Vote.URL("/")))
		r.sentOnce(sent, kept, []ballot.Choice{ballot.Cats, ballot.Cats}, tabs...)
	})
}
