package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"slices"

	"petvote/shared/ballot"
)

// The page is well-formed XML besides being HTML, and needs nothing but itself: no network, and no script but for the pointer.
var (
	//go:embed report.html.tmpl
	pageSource string
	//go:embed report.css
	pageStyle string

	reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
		"n": func(n any) string {
			switch n := n.(type) {
			case int:
				return ballot.Digits(n)
			case int64:
				return ballot.Digits(n)
			}
			return fmt.Sprint(n)
		},
		"took":   inSeconds,
		"healed": healedWords,
		"at":     func(s float64) string { return fmt.Sprintf("%.1f", s) },
		"link":   webLink,
		"inc":    func(n int) int { return n + 1 },
		"share":  shareWords,

		// where things stand in a chart next to others
		"height": func(top, bottom px) px { return bottom - top },
		"above":  func(top px) px { return top - 8 },
		"left":   func(axis px) px { return axis - 6 },
		"swatch": func(axis px) px { return axis + 6 },
		"beside": func(axis px) px { return axis + 24 },
	}).Parse(pageSource))
)

type pageView struct {
	Style    template.CSS
	Verdict  string
	Tone     tone
	Note     string
	Facts    []fact
	Command  string
	Sections []section
	All      proof // sums of all scenarios
	AllDiff  int64
	Slowest  float64
}

type fact struct{ Name, Value string }

// section is a scenario as the page shows it.
type section struct {
	*outcome
	Number   int
	Healing  longestHealing
	Charts   []*chart
	Readings readings
	States   []stateKey
	Lost     []string
	MoreLost int
	OneSum   bool // whether PostgreSQL's rows, its tally and the screen agree
}

// stateKey explains the pattern of a state.
type stateKey struct{ Class, State string }

// readings are what the pointer reads from the chart: a row for each step that is drawn, with null for what could not be asked.
type readings struct {
	Until    []float64   `json:"until"`
	Answers  [][3]int    `json:"answers"`  // a second: accepted, refused, none
	Standing [][4]*int64 `json:"standing"` // accepted, stored, on screen, waiting
}

const lostShown = 20

func newPage(r *record) *pageView {
	p := &pageView{Style: template.CSS(pageStyle), Note: r.verdictNote(), Command: r.Command}
	p.Verdict, p.Tone = r.verdict()
	p.Facts = r.facts()
	for i := range r.Scenarios {
		o := &r.Scenarios[i]
		s := section{outcome: o, Number: i + 1, Healing: o.healing(), States: o.states(), Readings: o.readings(), Lost: o.Proof.LostIDs}
		for _, f := range frames {
			s.Charts = append(s.Charts, newChart(o, f))
		}
		s.Lost = s.Lost[:min(len(s.Lost), lostShown)]
		s.MoreLost = max(o.Proof.Lost, len(o.Proof.LostIDs)) - len(s.Lost)
		s.OneSum = o.Proof.Rows == o.Proof.Tally && o.Proof.Tally == o.Proof.OnScreen
		p.Sections = append(p.Sections, s)

		p.All.Accepted += o.Proof.Accepted
		p.All.Refused += o.Proof.Refused
		p.All.Unknown += o.Proof.Unknown
		p.All.Lost += o.Proof.Lost
		p.All.CountedTwice += o.Proof.CountedTwice
		p.AllDiff += max(o.Proof.Books.Difference, -o.Proof.Books.Difference)
		p.Slowest = max(p.Slowest, o.Latency.Max)
	}
	return p
}

// facts are what one has to know of a run to believe it or to repeat it.
func (r *record) facts() []fact {
	target := map[string]string{"compose": "Docker Compose", "local": "local processes"}[r.Target]
	if target == "" {
		target = r.Target
	}
	rate := counted(r.Rate, "vote a second", "votes a second")
	if r.Retry {
		rate += ", sent again if refused"
	} else {
		rate += ", each sent once"
	}
	facts := []fact{
		{"When", r.Started.UTC().Format("2 January 2006, 15:04 UTC")}, {"How long", inSeconds(r.Seconds)}, {"Platform", target},
		{"Worker", r.Worker}, {"Load", rate},
	}
	if r.Seed != 0 {
		facts = append(facts, fact{"Seed", fmt.Sprint(r.Seed)})
	}
	return append(facts, fact{"Machine", r.Machine})
}

// states lists those that occur, for the key of the lanes.
func (o *outcome) states() []stateKey {
	var keys []stateKey
	for _, s := range o.Episodes {
		if k := (stateKey{stateClass(s.State), s.State}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (o *outcome) readings() readings {
	steps := bins(o.Timeline, narrowestBin(o.timelineEnd(), 800))
	var r readings
	for i := range steps {
		b := &steps[i]
		total := int64(b.Total)
		r.Until = append(r.Until, float64(int(b.to*100+0.5))/100)
		r.Answers = append(r.Answers, [3]int{int(b.rate(b.Accepted) + 0.5), int(b.rate(b.Refused) + 0.5), int(b.rate(b.Unknown) + 0.5)})
		r.Standing = append(r.Standing, [4]*int64{&total, b.Stored, b.OnScreen, b.Queue})
	}
	return r
}

// webLink is empty for what is no address of a page, which is then shown as text.
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return address
}

// shareWords never rounds some to none, nor most to all.
func shareWords(part float64) string {
	switch {
	case part <= 0:
		return "none"
	case part >= 1:
		return "all"
	case part < 0.01:
		return "under 1 %"
	case part > 0.99:
		return "over 99 %"
	}
	return fmt.Sprintf("%.0f %%", part*100)
}
