package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"petvote/shared/ballot"
)

// written gives both files of a run's report.
func written(t *testing.T, r *record) (data, page string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "of", "a run")
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, name := range []string{"report.json", "report.html"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts[0], texts[1]
}

// elements parses a page as strictly as XML is parsed, and gives its elements and all its text.
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

func TestTheNumbersComeBackAsTheyWere(t *testing.T) {
	for _, r := range []*record{exampleRun("real"), exampleRun("naive"), {Interrupted: true}} {
		data, _ := written(t, r)
		var back record
		if err := json.Unmarshal([]byte(data), &back); err != nil || !reflect.DeepEqual(&back, r) {
			t.Errorf("%v\n%+v\n%+v", err, back, r)
		}
		if !strings.HasPrefix(data, "{\n  \"started\"") || !strings.HasSuffix(data, "}\n") {
			t.Errorf("not laid out: %.60s", data)
		}
	}
}

func TestAReportIsReplacedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	r := exampleRun("real")
	for _, machine := range []string{"first", "second"} {
		r.Machine = machine
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	r.Machine, r.Seconds = "third", math.NaN() // which no JSON can hold
	if r.write(dir) == nil {
		t.Error("no error")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("it leaves %v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || !strings.Contains(string(text), "second") || strings.Contains(string(text), "third") {
			t.Errorf("%s: %v", f.Name(), err)
		}
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if err := r.write(filepath.Join(dir, "report.json")); err == nil {
		t.Error("a file was taken for a folder")
	}
}

var address = regexp.MustCompile(`(?i)url\(([^)]*)\)|@import`)

func TestThePageNeedsNothingButItself(t *testing.T) {
	for _, r := range []*record{exampleRun("real"), exampleRun("naive"), {}} {
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
				case name == "href", name == "src", name == "srcset", name == "style", strings.HasPrefix(name, "on"):
					t.Errorf("<%s %s=%q>", e.Name.Local, name, a.Value)
				}
			}
			if name := e.Name.Local; name == "link" || name == "iframe" || name == "object" || name == "image" || name == "use" {
				t.Errorf("<%s>", name)
			}
		}
		for _, id := range within {
			if !ids[id] {
				t.Errorf("a link leads to #%s, which is not there", id)
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
	for _, bad := range []string{`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onload='alert(1)`, `</style><b>&amp;{{.}}`, `]]><!--`} {
		r := exampleRun("naive")
		r.Scenarios = r.Scenarios[:1]
		o := &r.Scenarios[0]
		plainScripts := strings.Count(func() string { _, page := written(t, r); return page }(), "<script")
		r.Command, r.Machine, r.Target, r.Worker = bad, bad, bad, bad
		o.Name, o.Hypothesis, o.Failures = bad, bad, []string{bad}
		o.Proof.LostIDs[0], o.Proof.Restarted = bad, bad
		o.Wounds[0].Fault = bad
		o.Wounds[0].Traces = []traceLink{{TraceID: bad, Vote: bad, URL: bad}, {TraceID: bad, URL: "javascript:alert(1)"}, {TraceID: "fine", URL: "https://jaeger.example/?q=" + bad}}
		o.Episodes[0].Service, o.Episodes[0].What, o.Episodes[0].State = bad, bad, bad

		_, page := written(t, r)
		found, text := elements(t, page)
		if n := strings.Count(page, "<script"); n != plainScripts {
			t.Errorf("%s: %d scripts", bad, n)
		}
		for _, e := range found {
			if e.Name.Local == "img" || e.Name.Local == "b" && !strings.Contains(page, "<b>0</b>") {
				t.Errorf("%s: <%s>", bad, e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "https://jaeger.example/?q=") {
					t.Errorf("%s: %s=%q", bad, a.Name.Local, a.Value)
				}
			}
		}
		if n := strings.Count(text, bad); n < 12 {
			t.Errorf("%s is said %d times", bad, n)
		}
	}
}

func TestEachLostVoteIsNamedUpToTwenty(t *testing.T) {
	for lost, want := range map[int]string{0: "", 1: "", 20: "", 21: "and 1 more", 1234: "and 1,214 more"} {
		r := exampleRun("real")
		r.Scenarios = r.Scenarios[:1]
		p := &r.Scenarios[0].Proof
		p.Lost = lost
		for i := range lost {
			p.LostIDs = append(p.LostIDs, fmt.Sprintf("vote-%04d", i))
		}
		_, page := written(t, r)
		for i, id := range p.LostIDs {
			if shown := strings.Contains(page, "<code>"+id+"</code>"); shown != (i < 20) {
				t.Errorf("%d lost: %s is shown: %v", lost, id, shown)
			}
		}
		if more := strings.Contains(page, " more</li>"); more != (want != "") || !strings.Contains(page, want) {
			t.Errorf("%d lost: it does not say %q", lost, want)
		}
	}
}

func TestThePageSaysWhatWasAndWhatWasNot(t *testing.T) {
	r := exampleRun("naive")
	_, page := written(t, r)
	_, text := elements(t, page)
	lost, accepted := 0, 0
	for _, o := range r.Scenarios {
		lost, accepted = lost+o.Proof.Lost, accepted+o.Proof.Accepted
		for _, want := range append(o.Failures, o.Name, o.Hypothesis, o.Wounds[0].Fault) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: it does not say %s", o.Name, want)
			}
		}
	}
	for _, want := range []string{
		fmt.Sprintf("%s of %s accepted votes were lost", ballot.Digits(lost), ballot.Digits(accepted)), r.Command, r.Machine, "25 November 2026, 08:12 UTC",
		"200 votes a second, sent again if refused", "naive", "local processes", "not seen", "all along", "They do not balance: the difference is 23.", "They balance.",
	} {
		if lost == 0 || !strings.Contains(text, want) {
			t.Errorf("%d lost, and it does not say %q", lost, want)
		}
	}
}

func TestThePageHasTheColoursOfTheProduct(t *testing.T) {
	base, err := os.ReadFile("../../shared/web/static/base.css")
	if err != nil {
		t.Fatal(err)
	}
	tokens := regexp.MustCompile(`(?m)^  (--[a-z-]+: .*;)$`).FindAllStringSubmatch(pageStyle, -1)
	for _, token := range tokens {
		if !strings.Contains(string(base), token[1]) {
			t.Errorf("base.css has no %s", token[1])
		}
	}
	if len(tokens) < 20 {
		t.Errorf("%d tokens", len(tokens))
	}
}
