package systemtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/infra/voters"
	"petvote/infra/wait"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// rig is the platform of one test, with a ledger of all votes that the test casts.
type rig struct {
	*platform.Platform
	t      *testing.T
	ledger *ledger.Ledger
	voter  *voters.Client
	judged int // the answers in the ledger that belong to earlier steps
}

// patience is how long a test waits for a condition, however busy the machine is.
const patience = time.Minute

// answerLimit is how long a voter waits for an answer: many times the service's budget of 2 s. Later is a hang.
const answerLimit = 30 * time.Second

// withEnv adds to the environment of every service.
func withEnv(env ...string) func(*platform.Options) {
	return func(o *platform.Options) { o.Env = append(o.Env, env...) }
}

// newRig starts a platform that stops without a delay and reclaims a dead worker's entries after two seconds.
func newRig(t *testing.T, choose ...func(*platform.Options)) *rig {
	t.Helper()
	r := stoppedRig(t, choose...)
	r.must(r.Start(t.Context()))
	return r
}

// stoppedRig is newRig without the start.
func stoppedRig(t *testing.T, choose ...func(*platform.Options)) *rig {
	t.Helper()
	if !essential.MatchString(t.Name()) {
		testenv.Slow(t)
	}
	var crashes crashFinder
	options := platform.Options{
		Dir: testenv.NewFolder(t), Bin: bin, Output: func(string) io.Writer { return &crashes },
		Env: []string{"CLAIM_IDLE=2s", "LOG_FORMAT=text", "SHUTDOWN_DELAY=0s", "GORACE=" + os.Getenv("GORACE")},
	}
	for _, c := range choose {
		c(&options)
	}
	p, err := platform.New(options)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Platform: p, t: t, ledger: ledger.New(nil)}
	r.voter = voters.NewClient(p.Vote.URL("/vote"), r.ledger.Began, answerLimit)
	t.Cleanup(func() {
		r.voter.Close()
		if t.Failed() {
			for _, name := range p.Parts() {
				part, _ := p.Part(name)
				r.showLog(name, part)
			}
		}
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("the platform did not stop cleanly: %v", err)
		}
		if crash := crashes.find(); crash != "" {
			t.Errorf("a service wrote %q", crash)
		}
	})
	return r
}

// crashFinder looks for panics and data races in the output of services, over all their starts.
type crashFinder struct {
	mu  sync.Mutex
	out []byte
}

func (f *crashFinder) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out = append(f.out, p...)
	return len(p), nil
}

var crash = regexp.MustCompile(`WARNING: DATA RACE|(?m)^(?:panic|fatal error): .*`)

func (f *crashFinder) find() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(crash.Find(f.out))
}

func TestCrashesAreFoundInTheOutputOfServices(t *testing.T) {
	for output, want := range map[string]string{
		"level=INFO msg=ready\n": "", `level=WARN error="panic: in a voter's text"`: "",
		"==================\nWARNING: DATA RACE\nWrite at": "WARNING: DATA RACE",
		"level=INFO\npanic: assignment to nil map\n":       "panic: assignment to nil map",
		"fatal error: all goroutines are asleep":           "fatal error: all goroutines are asleep",
	} {
		var f crashFinder
		for _, b := range []byte(output) {
			_, _ = f.Write([]byte{b})
		}
		if got := f.find(); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

// step runs a subtest on the same platform, which is healthy again at its end. Steps after a failed one are skipped.
func (r *rig) step(name string, do func(*rig)) {
	r.t.Run(name, func(t *testing.T) {
		if r.t.Failed() {
			t.Skip("an earlier step failed")
		}
		step := *r
		step.t, step.judged = t, len(r.ledger.Answers())
		do(&step)
	})
}

func (r *rig) showLog(name string, p platform.Part) {
	r.t.Logf("the end of the log of %s:\n%s", name, p.Log())
}

// describe returns one more instance of a service, which is stopped at the end of the test.
func (r *rig) describe(name string, env ...string) *platform.Service {
	r.t.Helper()
	s, err := r.Describe(name, env...)
	r.must(err)
	r.stopAtEnd(name, s)
	return s
}

// stopAtEnd stops a process at the end of the test, and shows its log if the test failed.
func (r *rig) stopAtEnd(name string, p platform.Part) {
	r.t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			r.t.Errorf("%s did not stop cleanly: %v", name, err)
		}
		if r.t.Failed() {
			r.showLog(name, p)
		}
	})
}

// must fails the test at an error of the test itself.
func (r *rig) must(err error) {
	r.t.Helper()
	testenv.Must(r.t, err)
}

// eventually repeats a check until it returns nil.
func (r *rig) eventually(check func() error) {
	r.t.Helper()
	testenv.Eventually(r.t, check)
}

// elapse lets load or an outage last for a while.
func (r *rig) elapse(d time.Duration) {
	r.t.Helper()
	r.must(wait.For(r.t.Context(), d))
}

// client follows no redirect, and no request meets a kept connection that the service is about to close.
var client = &http.Client{
	Timeout:       patience,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is an HTTP response with its whole body.
type answer struct {
	*http.Response
	body string
}

// exchange sends a request with headers, each a name and a value, where "" is none.
func exchange(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for header := range slices.Chunk(headers, 2) {
		if header[1] != "" {
			request.Header.Set(header[0], header[1])
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response, string(text)}, err
}

func (r *rig) fetch(method, url, body string, headers ...string) answer {
	r.t.Helper()
	a, err := exchange(r.t.Context(), method, url, body, headers...)
	r.must(err)
	return a
}

// page returns the text at an address.
func (r *rig) page(url string) string {
	r.t.Helper()
	return r.fetch(http.MethodGet, url, "").body
}

func (r *rig) get(url string, into any) error { return platform.Get(r.t.Context(), url, into) }

// wantStatus checks that an address answers with a status.
func (r *rig) wantStatus(url string, want int) error {
	a, err := exchange(r.t.Context(), http.MethodGet, url, "")
	if err == nil && a.StatusCode != want {
		err = fmt.Errorf("%s: status %d, want %d: %s", url, a.StatusCode, want, a.body)
	}
	return err
}

// cast sends a vote under a key, once.
func (r *rig) cast(key uuid.UUID, pet ballot.Choice) ledger.Answer {
	a := r.voter.Cast(r.t.Context(), key, pet)
	r.ledger.Add(a)
	return a
}

// vote casts a vote that must be accepted.
func (r *rig) vote(pet ballot.Choice) ledger.Answer {
	r.t.Helper()
	a := r.cast(uuid.Must(uuid.NewV7()), pet)
	if a.Status != ledger.Accepted {
		r.t.Fatalf("a vote was not accepted: %+v", a)
	}
	return a
}

// during runs do while votes come in, and returns once the last of them is answered.
func (r *rig) during(perSecond int, do func()) {
	r.t.Helper()
	v := voters.Start(r.t.Context(), voters.Options{
		URL: r.Vote.URL("/vote"), Rate: perSecond, Timeout: answerLimit, Start: r.ledger.Began, Record: r.ledger.Add,
	})
	defer v.Wait()
	defer v.Stop()
	do()
}

// enqueue adds an entry to the queue, past the vote service.
func (r *rig) enqueue(fields ...any) error {
	return r.RDB.XAdd(r.t.Context(), &redis.XAddArgs{Stream: votestream.Stream, Values: fields}).Err()
}

// backlog enqueues votes with further fields.
func (r *rig) backlog(n int, fields ...any) {
	r.t.Helper()
	for range n {
		r.must(r.enqueue(append([]any{"id", uuid.NewString(), "vote", "dogs",
			"cast_at", time.Now().UTC().Format(time.RFC3339Nano)}, fields...)...))
	}
}

// poison enqueues an entry that is not a vote.
func (r *rig) poison() error { return r.enqueue("nonsense", "1") }

// awaitAnswer waits until one more vote gets an answer of a kind.
func (r *rig) awaitAnswer(kind ledger.Status) {
	r.t.Helper()
	before := r.ledger.Count(kind)
	r.eventually(func() error {
		if r.ledger.Count(kind) == before {
			return fmt.Errorf("no vote is %s", kind)
		}
		return nil
	})
}

// wantOnly fails the test if a vote of this step got an answer of another kind.
func (r *rig) wantOnly(allowed ...ledger.Status) {
	r.t.Helper()
	for _, a := range r.ledger.Answers()[r.judged:] {
		if !slices.Contains(allowed, a.Status) {
			r.t.Errorf("a vote got an answer that is not one of %v: %+v", allowed, a)
			return
		}
	}
}

type tallyAnswer struct {
	Votes ballot.Counts `json:"votes"`
	Total int64         `json:"total"`
	AsOf  time.Time     `json:"as_of"`
	Stale bool          `json:"stale"`
}

func (r *rig) tally() (tallyAnswer, error) {
	var a tallyAnswer
	return a, r.get(r.Result.URL("/api/tally"), &a)
}

// awaitTally waits until the result service has a tally that is wanted.
func (r *rig) awaitTally(want func(tallyAnswer) bool) {
	r.t.Helper()
	r.eventually(func() error {
		a, err := r.tally()
		if err == nil && !want(a) {
			err = fmt.Errorf("the tally is %+v", a)
		}
		return err
	})
}

// shows waits until the result service has these votes.
func (r *rig) shows(want ballot.Counts) {
	r.t.Helper()
	r.awaitTally(func(a tallyAnswer) bool { return a.Votes == want })
}

// setTally writes counts into the database, and waits until the result service has them.
func (r *rig) setTally(c ballot.Counts) {
	r.t.Helper()
	r.sql(fmt.Sprintf(`update tally set votes = case pet when 'dogs' then %d when 'cats' then %d else %d end;
		notify tally_changed`, c.Dogs, c.Cats, c.Lizards))
	r.shows(c)
}

// sql changes the database past the services.
func (r *rig) sql(statement string, args ...any) {
	r.t.Helper()
	_, err := r.DB.Exec(r.t.Context(), statement, args...)
	r.must(err)
}

// stored returns every stored vote, by its id.
func (r *rig) stored() map[uuid.UUID]ballot.Choice {
	r.t.Helper()
	stored, err := ledger.Direct{DB: r.DB}.StoredSince(r.t.Context(), time.Time{})
	r.must(err)
	return stored
}

// drained waits until all queues are empty, and returns the first one's figures.
func (r *rig) drained() votestream.Stats {
	r.t.Helper()
	r.must(ledger.Drain(r.t.Context(), r))
	st, err := r.Queue.Stats(r.t.Context())
	r.must(err)
	return st
}

// audit proves that every accepted vote in the ledger is counted once, and that no vote outside of it is stored.
func (r *rig) audit() {
	r.t.Helper()
	r.auditBeside(0)
}

// auditBeside is audit where that many votes were stored past the ledger.
func (r *rig) auditBeside(others int64) {
	r.t.Helper()
	ctx, store := r.t.Context(), r.Direct
	r.must(ledger.Drain(ctx, store))
	proof, err := r.ledger.Prove(ctx, store, ledger.Standings{}, func(context.Context) (ballot.Counts, error) {
		a, err := r.tally()
		if err == nil && a.Stale {
			err = fmt.Errorf("the tally is stale: %+v", a)
		}
		return a.Votes, err
	})
	r.must(err)
	for _, failure := range proof.Refutes() {
		r.t.Error(failure)
	}
	if proof.Rows != int64(proof.Stored)+others {
		r.t.Errorf("%d votes are stored, but only %d+%d of them were cast", proof.Rows, proof.Stored, others)
	}
	r.t.Logf("accepted %d, refused %d, unknown %d, stored %d, lost %d",
		proof.Accepted, proof.Refused, proof.Unknown, proof.Stored, proof.Lost)
}

// bounce kills a part and starts it again after a while.
func (r *rig) bounce(p platform.Part, outage time.Duration) {
	r.t.Helper()
	r.must(p.Kill())
	r.elapse(outage)
	r.must(p.Start(r.t.Context()))
}

// start starts services side by side, and returns a function that waits until they are ready.
func (r *rig) start(all ...*platform.Service) (ready func()) {
	var starting errgroup.Group
	for _, s := range all {
		starting.Go(func() error { return s.Start(r.t.Context()) })
	}
	return func() {
		r.t.Helper()
		r.must(starting.Wait())
	}
}

// crash starts a worker that is set to crash, and waits until it has. It may do so before it is ready.
func (r *rig) crash(doomed *platform.Service) {
	r.t.Helper()
	if err := doomed.Start(r.t.Context()); err != nil {
		if _, early := errors.AsType[*servers.EarlyExit](err); !early {
			r.t.Fatal(err)
		}
	}
	select {
	case <-doomed.Done():
	case <-time.After(patience):
		r.t.Fatal("the worker did not crash")
	}
}
