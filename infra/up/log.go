package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

const (
	speaker     = "petvote" // the name in front of the platform's own lines
	longestLine = 64 << 10  // longer ones are written in pieces of about this length
)

// partLog merges the output of many parts. Each line begins with the name of its part, and is written when it is
// complete, so lines never mix.
type partLog struct {
	mu   sync.Mutex
	out  io.Writer
	rest map[string][]byte // by part: the beginning of a line whose end has not come yet
}

func newLog(out io.Writer) *partLog { return &partLog{out: out, rest: make(map[string][]byte)} }

// part returns the writer for a part's output.
func (l *partLog) part(name string) io.Writer { return partWriter{l, name} }

// say writes a line of the platform's own.
func (l *partLog) say(format string, args ...any) { fmt.Fprintf(l.part(speaker), format+"\n", args...) }

// flush writes the unfinished line of a part that has ended.
func (l *partLog) flush(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rest := l.rest[name]; len(rest) > 0 {
		l.line(name, rest)
		l.rest[name] = nil
	}
}

// line drops the error: a log that can't be written to must not stop the platform.
func (l *partLog) line(name string, text []byte) {
	_, _ = fmt.Fprintf(l.out, "%-8s | %s\n", name, bytes.TrimSuffix(text, []byte("\r")))
}

type partWriter struct {
	log  *partLog
	name string
}

// Write never fails: see line.
func (w partWriter) Write(p []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	rest := append(w.log.rest[w.name], p...)
	for {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		if !complete && len(rest) < longestLine {
			w.log.rest[w.name] = rest
			return len(p), nil
		}
		w.log.line(w.name, line)
		rest = append(rest[:0], after...)
	}
}
