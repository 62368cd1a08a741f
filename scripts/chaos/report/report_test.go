package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"petvote/infra/ledger"
	"petvote/infra/testenv"
	"petvote/scripts/chaos/record"
	"petvote/shared/ballot"
)

// written returns both files of a run's report.
func written(t *testing.T, r *record.Run) (data, page string) {
	t.Helper()
	dir := t.TempDir()
	testenv.Must(t, Write(dir, r))
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		testenv.Must(t, err)
		return string(text)
	}
	return read("report.json"), read("report.html")
}

// elements parses a page as strictly as XML is parsed, and returns its elements and all its text.
func elements(t *testing.T, page string) (found []xml.StartElement, text string) {
	t.Helper()
	var said strings.Builder
	for d := xml.NewDecoder(strings.NewReader(page)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found, said.String()
		}
		if err != nil {
			line, column := d.InputPos()
			t.Fatalf("line %d, column %d: %v", line, column, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			found = append(found, token.Copy())
		case xml.CharData:
			said.Write(token)
		}
	}
}

func TestAnErrorLeavesTheEarlierReport(t *testing.T) {
	dir, r := t.TempDir(), exampleRun("real")
	r.Machine = "earlier"
	testenv.Must(t, Write(dir, r))
	r.Machine, r.Seconds = "later", math.NaN() // JSON has no such number
	if Write(dir, r) == nil {
		t.Error("no error")
	}
	for _, name := range []string{"report.json", "report.html"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(text), "earlier") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var address = regexp.MustCompile(`(?i)url\(([^)]*)\)|@import`)

func TestThePageNeedsNothingButItself(t *testing.T) {
	for _, r := range []*record.Run{exampleRun("real"), exampleRun("naive"), {}} {
		_, page := written(t, r)
		found, _ := elements(t, page)
		ids := map[string]bool{}
		var within []string
		for _, e := range found {
			for _, a := range e.Attr {
				switch name := a.Name.Local; {
				case name == "id" && ids[a.Value]:
					t.Errorf("two elements have the id %s", a.Value)
				case name == "id":
					ids[a.Value] = true
				case name == "href" && strings.HasPrefix(a.Value, "#"):
					within = append(within, a.Value[1:])
				case name == "href" && e.Name.Local == "a" && strings.HasPrefix(a.Value, "http://localhost:16686/trace/"):
				case name == "href", name == "src", name == "srcset", strings.HasPrefix(name, "on"):
					t.Errorf("<%s %s=%q>", e.Name.Local, name, a.Value)
				}
			}
			if name := e.Name.Local; name == "link" || name == "iframe" || name == "object" || name == "image" || name == "use" {
				t.Errorf("<%s>", name)
			}
		}
		for _, id := range within {
			if !ids[id] {
				t.Errorf("a link leads to #%s, which does not exist", id)
			}
		}
		for _, url := range address.FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(url[1], "#") || !ids[strings.TrimPrefix(url[1], "#")] {
				t.Errorf("the style needs %q", url[0])
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, bad := range []string{`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`,
		`' onload='alert(1)`, `</style><b>&amp;{{.}}`, `]]><!--`} {
		r := exampleRun("naive")
		r.Scenarios = r.Scenarios[:1]
		_, before := written(t, r)
		o := &r.Scenarios[0]
		r.Command, r.Machine, r.Target, r.Worker = bad, bad, bad, bad
		o.Name, o.Hypothesis, o.Failures, o.Slow = bad, bad, []string{bad}, []string{bad}
		o.Proof.LostIDs[0], o.Proof.Restarted = bad, bad
		o.Faults[0].Fault = bad
		o.Faults[0].Traces = []record.Trace{{TraceID: bad, Vote: bad, URL: bad}, {TraceID: bad, URL: "javascript:alert(1)"},
			{TraceID: "fine", URL: "https://jaeger.example/?q=" + bad}}
		o.Episodes[0].Service, o.Episodes[0].What, o.Episodes[0].State = bad, bad, bad

		_, page := written(t, r)
		found, text := elements(t, page)
		if strings.Count(page, "<script") != strings.Count(before, "<script") {
			t.Errorf("%s: another script", bad)
		}
		for _, e := range found {
			if e.Name.Local == "img" {
				t.Errorf("%s: <%s>", bad, e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || strings.HasPrefix(a.Value, "javascript:") {
					t.Errorf("%s: %s=%q", bad, a.Name.Local, a.Value)
				}
			}
		}
		if n := strings.Count(text, bad); n < 13 {
			t.Errorf("%s is said %d times", bad, n)
		}
	}
}

func TestLostVotesAreNamedUpToTwenty(t *testing.T) {
	for lost, more := range map[int]string{0: "", 20: "", 21: "and 1 more", 1234: "and 1,214 more"} {
		p := ledger.Proof{Lost: lost}
		for i := range lost {
			p.LostIDs = append(p.LostIDs, fmt.Sprintf("vote-%04d", i))
		}
		_, page := written(t, &record.Run{Scenarios: []record.Outcome{{Proof: p}}})
		if n := strings.Count(page, "<code>vote-"); n != min(lost, 20) || !strings.Contains(page, more) ||
			(more == "") == strings.Contains(page, " more</li>") {
			t.Errorf("%d lost: %d are named", lost, n)
		}
	}
}

func TestThePageHoldsTheWholeRecord(t *testing.T) {
	r := exampleRun("naive")
	_, page := written(t, r)
	_, text := elements(t, page)
	all := sum(r)
	wants := []string{r.Command, r.Machine, "25 November 2026, 08:12 UTC", "200 a second, sent again if refused",
		"naive", "local", "not seen", "at once", "They do not balance: the difference is 23.", "They balance.",
		"✗ refuted", "! slow", "Recovery was slow (load average 12.3)",
		fmt.Sprintf("%s of %s accepted votes were lost", ballot.Digits(all.Lost), ballot.Digits(all.Accepted))}
	for _, o := range r.Scenarios {
		wants = append(append(append(wants, o.Failures...), o.Slow...), o.Name, o.Hypothesis, o.Faults[0].Fault)
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func TestAScenarioInWhichNothingHappenedIsShown(t *testing.T) {
	for _, o := range []record.Outcome{{}, {Seconds: 10}, {Faults: []record.FaultWindow{{}}},
		{Timeline: []record.Sample{{At: 0.25}}}} {
		_, page := written(t, &record.Run{Scenarios: []record.Outcome{o}})
		elements(t, page)
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%+v: no place in the chart", o)
		}
	}
}
