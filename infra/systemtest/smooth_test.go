package systemtest

import (
	"testing"
	"time"

	"petvote/infra/ledger"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/chromedp"
)

// BenchmarkResultsPageUnderLoad watches the results page for a second per iteration while 3,000 votes come in each second,
// and reports how long the page's longest task took, how many frames it drew, and how its memory grew after the first
// fifteen seconds: go test ./infra/systemtest -run '^$' -bench ResultsPage -benchtime 300x
func BenchmarkResultsPageUnderLoad(b *testing.B) {
	const warmUp = 15 * time.Second
	r := newRig(b)
	p := r.open(r.browser(), r.Result.URL("/"))
	until(p, readResultPage, live)
	_, err := look[bool](p, `(() => {
		window.seen = { longest: 0, frames: 0 };
		new PerformanceObserver((list) => {
			for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
		}).observe({ type: 'longtask' });
		const frame = () => { seen.frames += 1; requestAnimationFrame(frame); };
		requestAnimationFrame(frame);
		return true;
	})()`)
	r.must(err)

	var before, after pageMemory
	var watched struct{ Longest, Frames float64 }
	start := time.Now()
	r.during(3000, func() {
		r.elapse(warmUp)
		before = p.memory()
		_, err = look[bool](p, `(() => { Object.assign(seen, { longest: 0, frames: 0 }); return true; })()`)
		r.must(err)
		b.ResetTimer()
		r.elapse(time.Duration(b.N) * time.Second)
		b.StopTimer()
		watched, err = look[struct{ Longest, Frames float64 }](p, `seen`)
		r.must(err)
		after = p.memory()
	})
	b.ReportMetric(float64(r.ledger.Count(ledger.Accepted))/time.Since(start).Seconds(), "votes/s")
	b.ReportMetric(watched.Longest, "ms-longest-task")
	b.ReportMetric(watched.Frames/float64(b.N), "frames/s")
	b.ReportMetric(before.HeapMB, "MB-heap-before")
	b.ReportMetric(after.HeapMB, "MB-heap-after")
	b.ReportMetric(after.Nodes-before.Nodes, "nodes-grown")
	if after.HeapMB > 1.5*before.HeapMB+1 {
		b.Errorf("the page's heap grew from %.1f to %.1f MB", before.HeapMB, after.HeapMB)
	}
}

// pageMemory is what a page keeps, after a garbage collection.
type pageMemory struct{ HeapMB, Nodes float64 }

func (p *tab) memory() pageMemory {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, heapprofiler.CollectGarbage, cdp.Empty{})
	p.must(err)
	m, err := look[pageMemory](p, `({ HeapMB: performance.memory.usedJSHeapSize / 1e6, Nodes: document.getElementsByTagName('*').length })`)
	p.must(err)
	return m
}
