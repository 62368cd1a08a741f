package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestLogWritesWholeLinesWithTheirPartsName(t *testing.T) {
	var out strings.Builder
	log := newLog(&out)
	write := func(part, text string) {
		t.Helper()
		if n, err := io.WriteString(log.part(part), text); n != len(text) || err != nil {
			t.Errorf("wrote %d of %d, %v", n, len(text), err)
		}
	}
	write("redis", "Ready to acc")
	write("worker", "one\r\ntwo\nthr")
	write("redis", "ept connections\n\n")
	log.say("first\nsecond")
	log.flush("worker")
	log.flush("worker")
	want := `worker   | one
worker   | two
redis    | Ready to accept connections
redis    | 
petvote  | first
petvote  | second
worker   | thr
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
}

func TestLogSplitsALineWithoutEnd(t *testing.T) {
	var out strings.Builder
	log := newLog(&out)
	for range 2 * longestLine / 1000 {
		fmt.Fprint(log.part("vote"), strings.Repeat("x", 1000))
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d pieces of an endless line, want 1", n)
	}
}
