package systemtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"petvote/shared/ballot"
)

// chartPage is the chart of the last hour on a page.
type chartPage struct {
	Shown    bool
	Lines    map[string]int // the number of points of each pet's
	Marks    []string       // at the ends of the lines, and where the reader points
	Readout  string
	Spoken   string // by the slider
	At, Last int    // the slider's place and its end
	Table    []string
}

func readChart(p *tab) (chartPage, error) {
	return look[chartPage](p, `(() => {
		const chart = document.getElementById('chart'), slider = document.getElementById('minute');
		const points = (line) => line.getAttribute('d').match(/[ML]\d+(\.\d+)? \d+(\.\d+)?/g).length;
		const lines = [...chart.querySelectorAll('.line')], rows = [...document.querySelectorAll('#as-table tbody tr')];
		return {
			Shown: !document.getElementById('history').hidden,
			Lines: Object.fromEntries(lines.map((line) => [line.dataset.pet, points(line)])),
			Marks: [...chart.querySelectorAll('.mark')].map((mark) => mark.dataset.pet),
			Readout: document.getElementById('readout').textContent, Spoken: slider.getAttribute('aria-valuetext'),
			At: Number(slider.value), Last: Number(slider.max),
			Table: rows.map((row) => [...row.children].map((cell) => cell.textContent).join(' ')),
		};
	})()`)
}

// minutes returns the last hour of GET /api/history.
func (r *rig) minutes() []minute {
	r.t.Helper()
	var answer struct{ Minutes []minute }
	r.must(r.get(r.Result.URL("/api/history"), &answer))
	if len(answer.Minutes) != 60 {
		r.t.Fatalf("the last hour has %d minutes", len(answer.Minutes))
	}
	return answer.Minutes
}

type minute struct {
	Minute time.Time
	ballot.Counts
}

func (m minute) clock() string { return m.Minute.UTC().Format("15:04") }

// readout is the page's text for it.
func (m minute) readout() string {
	return fmt.Sprintf("%s: dogs %d, cats %d, lizards %d", m.clock(), m.Dogs, m.Cats, m.Lizards)
}

// readsOut reports whether a page reads out a minute of the history.
func (r *rig) readsOut(c chartPage) bool {
	read := func(m minute) bool { return m.readout() == c.Readout }
	return c.Readout == c.Spoken && slices.ContainsFunc(r.minutes(), read)
}

func TestBrowserTheChartIsReadByPointerAndKeyboardAndAsATable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// Each of the past minutes has a number of votes of its own.
	r.sql(`insert into history (minute, pet, votes)
		select date_trunc('minute', now()) - n * interval '1 minute', pet, n * factor
		from generate_series(1, 70) as n, (values ('dogs', 1), ('cats', 2), ('lizards', 5)) as pets (pet, factor)`)
	results := r.open(r.browser(), r.Result.URL("/"))
	now := func(c chartPage) bool { return c.Shown && c.At == c.Last && strings.Contains(c.Readout, " so far: ") }
	c := until(results, readChart, now)
	if len(c.Lines) != 3 || c.Lines["dogs"] != 59 || c.Lines["cats"] != 59 || c.Lines["lizards"] != 59 {
		t.Errorf("the chart has lines of %v points, want 59 finished minutes for each pet", c.Lines)
	}
	if want := []string{"dogs", "cats", "lizards", "dogs", "cats", "lizards"}; !slices.Equal(c.Marks, want) {
		t.Errorf("the chart has marks for %v, want %v", c.Marks, want)
	}

	results.do(chromedp.ScrollIntoView(chromedp.CSS("#chart")))
	// pointed reads the chart with the pointer at a part of its width and height, wherever it is by now.
	pointed := func(x, y float64) func(*tab) (chartPage, error) {
		return func(p *tab) (chartPage, error) {
			box, err := look[struct{ Left, Top, Width, Height float64 }](p,
				`document.getElementById('chart').getBoundingClientRect()`)
			if err != nil {
				return chartPage{}, err
			}
			p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box.Left+x*box.Width+1, box.Top+y*box.Height))
			return readChart(p)
		}
	}
	last := -1
	for _, part := range []float64{0, 0.3, 0.5, 0.8} {
		past := func(c chartPage) bool { return c.At > last && c.At < c.Last && r.readsOut(c) }
		c := until(results, pointed(part, 0.5), past)
		if want := part * 60; float64(c.At) < want-4 || float64(c.At) > want+4 {
			t.Errorf("the pointer at %v of the chart is over minute %d", part, c.At)
		}
		last = c.At
	}
	until(results, pointed(0, -0.1), now)

	results.do(chromedp.Focus(chromedp.CSS("#minute")))
	var read []string
	for range 3 {
		results.do(chromedp.KeyEvent(kb.ArrowLeft))
		c := until(results, readChart, func(c chartPage) bool { return r.readsOut(c) && !slices.Contains(read, c.Readout) })
		read = append(read, c.Readout)
	}
	results.do(chromedp.KeyEvent(kb.ArrowRight))
	until(results, readChart, func(c chartPage) bool { return r.readsOut(c) && c.Readout == read[1] })

	// The table of minutes is the history.
	until(results, readChart, func(c chartPage) bool { return len(c.Table) == 0 })
	results.click("summary")
	r.vote(ballot.Lizards)
	r.drained()
	until(results, readChart, func(c chartPage) bool {
		var want []string
		for _, m := range slices.Backward(r.minutes()) {
			want = append(want, fmt.Sprintf("%s %d %d %d", m.clock(), m.Dogs, m.Cats, m.Lizards))
		}
		return slices.Equal(c.Table, want) &&
			(strings.HasSuffix(want[0], " 0 0 1") || strings.HasSuffix(want[1], " 0 0 1")) // where a minute begins just now
	})
	r.clean(results)
}
