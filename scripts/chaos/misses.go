package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tolerated is the share of votes that may be refused where a scenario says that voters notice nothing: a machine that is busy
// with other things refuses one now and then.
const tolerated = 0.01

// misses are what the hypothesis and the limits promise beside the proof and what was not so, a sentence each.
func (r *runner) misses(s scenario, o outcome, answers []answer) []string {
	failures := r.tooSlow(s, o)
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	for _, w := range o.Wounds {
		if w.Problem != "" {
			fail("%q: %s", w.Fault, w.Problem)
		}
	}
	few := tolerated * float64(o.Proof.Sent)
	if n := o.Proof.Refused + o.Proof.Unknown; s.spares && float64(n) > few {
		fail("voters noticed: %d of %d votes were not accepted", n, o.Proof.Sent)
	}
	if n := unexplained(o.Wounds, answers); float64(n) > few {
		fail("%d answers were no acceptance though no fault explains it", n)
	}
	if i := slices.IndexFunc(answers, func(a answer) bool { return a.Status == wrong }); i >= 0 {
		fail("an answer that no voter should see: %s", answers[i].Error)
	}
	if s.touches(vote) {
		return failures
	}
	if o.Latency.Max > r.limits.answer.Seconds() {
		fail("an answer took %.2f s (limit %v)", o.Latency.Max, r.limits.answer)
	}
	if i := slices.IndexFunc(answers, func(a answer) bool { return a.Status == unknown }); i >= 0 {
		fail("a vote got no answer in %.1f s though the vote service was not touched: %s", answers[i].At-answers[i].Sent, answers[i].Error)
	}
	return failures
}

// tooSlow says which wounds took longer to heal than they may. Where faults overlap only the last is held to it.
func (r *runner) tooSlow(s scenario, o outcome) []string {
	var failures []string
	if len(o.Wounds) == 0 {
		return nil
	}
	last := slices.MaxFunc(o.Wounds, func(a, b wound) int { return cmp.Compare(a.To, b.To) }).To
	for _, w := range o.Wounds {
		if s.unmeasured && w.To < last {
			continue
		}
		for _, t := range []struct {
			took  *float64
			limit time.Duration
			what  string
		}{
			{w.AcceptedAgain, r.limits.accept, "votes were accepted again"},
			{w.Drained, max(r.limits.drain, s.drain) + r.target.sampled(), "the queue was drained"},
			{w.Current, max(r.limits.current, s.drain) + r.target.sampled(), "the page was current"},
		} {
			switch {
			case t.took == nil:
				failures = append(failures, fmt.Sprintf("after %q it was not seen that %s", w.Fault, t.what))
			case *t.took > t.limit.Seconds():
				failures = append(failures, fmt.Sprintf("after %q %s only %.1f s later (limit %v)", w.Fault, t.what, *t.took, t.limit))
			}
		}
	}
	return failures
}

// unexplained counts the attempts that were not accepted, and were sent at a time when no wound was open.
func unexplained(wounds []wound, answers []answer) int {
	n := 0
	for _, a := range answers {
		if a.Status == accepted {
			continue
		}
		if !slices.ContainsFunc(wounds, func(w wound) bool {
			return a.At >= w.From && (w.AcceptedAgain == nil || a.Sent <= w.To+*w.AcceptedAgain)
		}) {
			n++
		}
	}
	return n
}

// restarted names the services whose life is another one though the scenario has not touched their processes.
func restarted(s scenario, before, after map[string]string) string {
	var names []string
	for _, name := range services {
		if before[name] != after[name] && !s.touches(name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// latencies are those of all answers that came.
func latencies(answers []answer) latency {
	var took []float64
	for _, a := range answers {
		if a.Code != 0 {
			took = append(took, a.At-a.Sent)
		}
	}
	if len(took) == 0 {
		return latency{}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))] }
	return latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
