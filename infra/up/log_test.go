package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestLogWritesWholeLinesWithTheirPartsName(t *testing.T) {
	var out strings.Builder
	log := NewLog(&out, false, "redis", "worker")
	write := func(part, text string) {
		t.Helper()
		if n, err := io.WriteString(log.Part(part), text); n != len(text) || err != nil {
			t.Errorf("wrote %d of %d, %v", n, len(text), err)
		}
	}
	write("redis", "Ready to acc")
	write("worker", "one\r\ntwo\nthr")
	write("redis", "ept connections\n\n")
	log.Say("first\nsecond")
	log.Show("as it is\n")
	log.Flush("worker")
	log.Flush("worker")
	want := `worker  | one
worker  | two
redis   | Ready to accept connections
redis   | 
petvote | first
petvote | second
as it is
worker  | thr
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
}

func TestLogColoursNamesOnly(t *testing.T) {
	var out strings.Builder
	log := NewLog(&out, true, "vote")
	fmt.Fprintln(log.Part("vote"), "hello")
	if want := "\x1b[36mvote    | \x1b[0mhello\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestLogSplitsALineWithoutEnd(t *testing.T) {
	var out strings.Builder
	log := NewLog(&out, false, "vote")
	for range 2 * longestLine / 1000 {
		fmt.Fprint(log.Part("vote"), strings.Repeat("x", 1000))
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d pieces of an endless line, want 1", n)
	}
}

func TestLogKeepsLinesOfManyWritersApart(t *testing.T) {
	var out strings.Builder
	names := []string{"a", "b", "c"}
	log := NewLog(&out, false, names...)
	var writers sync.WaitGroup
	for _, name := range names {
		writers.Go(func() {
			for range 200 {
				fmt.Fprint(log.Part(name), name, name)
				fmt.Fprintln(log.Part(name), name)
			}
		})
	}
	writers.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 600 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if name := line[:1]; line != fmt.Sprintf("%-7s | %s", name, strings.Repeat(name, 3)) {
			t.Errorf("mixed line %q", line)
		}
	}
}
