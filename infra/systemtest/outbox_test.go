package systemtest

import (
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

	"petvote/shared/ballot"
)

// posting is one POST /vote that a page has made. Its times are of a clock that all tabs share.
type posting struct {
	tab            int // which of the tabs sent it
	key            string
	sent, answered time.Duration
	status         int           // 0: no answer
	retryAfter     time.Duration // as the answer asks
}

// postings remembers every POST /vote of some tabs.
type postings struct {
	mu   sync.Mutex
	tabs int
	made map[network.RequestID]*posting
}

// watch has a tab's postings remembered from now on, and gives back the tab.
func (s *postings) watch(p *tab) *tab {
	p.t.Helper()
	s.mu.Lock()
	if s.made == nil {
		s.made = map[network.RequestID]*posting{}
	}
	n := s.tabs
	s.tabs++
	s.mu.Unlock()
	p.must(chromedp.Listen(p.ctx, func(event any) { s.note(n, event) }))
	return p
}

func (s *postings) note(tab int, event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.Method == "POST" && strings.HasSuffix(e.Request.URL, "/vote") {
			key, _ := e.Request.Headers["Idempotency-Key"].(string)
			s.made[e.RequestID] = &posting{tab: tab, key: key, sent: since(e.Timestamp.Float64())}
		}
	case *network.EventResponseReceived:
		if p := s.made[e.RequestID]; p != nil {
			text, _ := e.Response.Headers["Retry-After"].(string)
			seconds, _ := strconv.Atoi(text)
			p.status, p.answered, p.retryAfter = int(e.Response.Status), since(e.Timestamp.Float64()), time.Duration(seconds)*time.Second
		}
	}
}

// all gives them in the order in which they were sent.
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

// keptHere is what the browser keeps, by key.
func keptHere(p *tab) (map[string]ballot.Choice, error) {
	return look[map[string]ballot.Choice](p, `Object.fromEntries(Object.values(localStorage).map((item) => JSON.parse(item)).map(({ key, pet }) => [key, pet]))`)
}

func waits(n int) func(votePage) bool { return func(v votePage) bool { return v.Waiting == n } }

func TestBrowserOutboxSurvivesAReloadAndIsSharedByTabsWhileVotesAreNotTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	var sent postings
	first := sent.watch(r.open(b, r.Vote.URL("/")))
	r.must(r.Redis.Kill())
	for i, pet := range []ballot.Choice{ballot.Dogs, ballot.Lizards} {
		first.click(choice(pet))
		until(first, readVotePage, waits(i+1))
	}
	first.do(chromedp.Reload())
	second := sent.watch(r.open(b, r.Vote.URL("/")))
	for _, p := range []*tab{first, second} {
		until(p, readVotePage, waits(2))
	}
	kept, err := keptHere(second)
	r.must(err)

	r.must(r.Redis.Start(t.Context()))
	r.sentOnce(&sent, kept, map[ballot.Choice]int{ballot.Dogs: 1, ballot.Lizards: 1}, first, second)
}

func TestBrowserOutboxKeepsVotesOfTwoTabsWhileTheServiceCannotBeReached(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	var sent postings
	tabs := []*tab{sent.watch(r.open(b, r.Vote.URL("/"))), sent.watch(r.open(b, r.Vote.URL("/")))}
	r.must(r.Vote.Kill())
	for i, p := range tabs {
		p.click(choice(ballot.Cats))
		said := until(p, readVotePage, func(v votePage) bool { return v.State == "waiting" })
		if !strings.Contains(said.Text, "because the server could not be reached") {
			t.Errorf("the page says %q", said.Text)
		}
		for _, p := range tabs {
			until(p, readVotePage, waits(i+1))
		}
	}
	kept, err := keptHere(tabs[0])
	r.must(err)
	tabs[0].do(chromedp.Navigate("about:blank")) // a voter who goes away, and comes back when the service has

	r.must(r.Vote.Start(t.Context()))
	tabs[0].do(chromedp.Navigate(r.Vote.URL("/")))
	r.sentOnce(&sent, kept, map[ballot.Choice]int{ballot.Cats: 2}, tabs...)
}

// sentOnce says that the votes kept are those wanted, and that after the recovery each was sent once, by one of the tabs,
// and stored under its key. The recovery is when the first of them is accepted.
func (r *rig) sentOnce(sent *postings, kept map[string]ballot.Choice, want map[ballot.Choice]int, tabs ...*tab) {
	r.t.Helper()
	pets := map[ballot.Choice]int{}
	for _, pet := range kept {
		pets[pet]++
	}
	if !maps.Equal(pets, want) {
		r.t.Fatalf("kept: %v, want %v", kept, want)
	}
	for _, p := range tabs {
		until(p, readVotePage, waits(-1))
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
		if accepted[key] != 1 {
			r.t.Errorf("vote %s was sent %d times after the recovery", key, accepted[key])
		}
	}
	if len(accepted) != len(kept) || r.t.Failed() {
		r.t.Errorf("kept: %v, sent: %+v", kept, sent.all())
	}
	for _, p := range tabs {
		if problems, _ := p.found(); len(problems) > 0 {
			r.t.Errorf("on a page: %v", problems)
		}
	}
}

func TestBrowserOutboxWaitsAsLongAsTheServerAsksUnlessThePersonWillNot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	var sent postings
	first, second := sent.watch(r.open(b, r.Vote.URL("/"))), sent.watch(r.open(b, r.Vote.URL("/")))
	r.must(r.Redis.Kill())
	for _, pet := range []ballot.Choice{ballot.Dogs, ballot.Lizards} {
		first.click(choice(pet))
	}
	until(second, readVotePage, waits(2))

	// early counts the postings that came before the time that the answer before them had asked for.
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
		t.Errorf("%d were sent earlier than the server has asked for: %+v", n, sent.all())
	}
	r.eventually(func() error {
		second.click("#waiting-send")
		if n, _ := early(); n == 0 {
			return fmt.Errorf("nothing is sent at once")
		}
		return nil
	})
}

func TestBrowserOutboxGivesUpAVoteThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	var sent postings
	vote := sent.watch(r.open(b, r.Vote.URL("/")))
	vote.do(chromedp.SetAttributeValue(chromedp.CSS(choice(ballot.Cats)), "value", "birds"))
	r.must(r.Vote.Pause())
	vote.click(choice("birds"))
	until(vote, readVotePage, func(v votePage) bool { return v.State == "sending" && v.Mine["birds"] == "+1" })
	r.must(r.Vote.Resume())
	refused := until(vote, readVotePage, func(v votePage) bool { return v.State == "refused" && v.Mine["birds"] == "" })
	if refused.Text != "Your vote for birds was refused: Invalid pet choice." {
		t.Errorf("the page says %q", refused.Text)
	}
	if got := states(refused.Journey); got != "failed open open open" || refused.Journey[0].What != "the server refused it" || len(refused.Links) > 0 {
		t.Errorf("its journey is %q: %+v, with links %v", got, refused.Journey, refused.Links)
	}

	// One that was kept, and then edited by hand.
	vote.do(chromedp.Evaluate[chromedp.Void](`localStorage.setItem('petvote.kept.mine', JSON.stringify({ key: 'mine', pet: 'dogs', at: 0, due: 0, failures: 1 })); undefined`))
	vote.do(chromedp.Reload())
	refused = until(vote, readVotePage, func(v votePage) bool { return v.State == "refused" && v.Waiting == -1 })
	if !strings.HasPrefix(refused.Text, "Your vote for dogs was refused: Idempotency-Key is not a UUID") {
		t.Errorf("the page says %q", refused.Text)
	}
	if left, err := keptHere(vote); err != nil || len(left) > 0 {
		t.Errorf("what was refused is still kept: %v, %v", left, err)
	}
	if all := sent.all(); len(all) != 2 {
		t.Errorf("two refusals, and sent: %+v", all)
	}
	r.drained()
	if stored := r.stored(); len(stored) > 0 {
		t.Errorf("stored: %v", stored)
	}
}
