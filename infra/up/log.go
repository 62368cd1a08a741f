package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

const (
	speaker     = "petvote" // the name in front of the platform's own lines
	longestLine = 64 << 10  // a longer line is written in pieces
)

// partLog merges the output of many parts. Each line begins with the name of its part, and is written when it is
// complete, so lines never mix.
type partLog struct {
	mu    sync.Mutex
	out   io.Writer
	parts map[string]*partWriter
}

// newLog makes a log for the named parts.
func newLog(out io.Writer, names ...string) *partLog {
	l := &partLog{out: out, parts: make(map[string]*partWriter)}
	names = append(names, speaker)
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for _, name := range names {
		l.parts[name] = &partWriter{log: l, prefix: fmt.Sprintf("%-*s | ", width, name)}
	}
	return l
}

// part returns the writer for a part's output. The name is one of those newLog knows.
func (l *partLog) part(name string) io.Writer { return l.parts[name] }

// say writes a line of the platform's own.
func (l *partLog) say(format string, args ...any) {
	fmt.Fprintf(l.parts[speaker], format+"\n", args...)
}

// show writes a text without a name in front.
func (l *partLog) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, text)
}

// flush writes the unfinished line of a part that has ended.
func (l *partLog) flush(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.parts[name]; w != nil && len(w.rest) > 0 {
		w.line(w.rest)
		w.rest = w.rest[:0]
	}
}

// partWriter splits a part's output into lines.
type partWriter struct {
	log    *partLog
	prefix string
	rest   []byte // the beginning of a line whose end has not come yet
}

// Write never fails: see line.
func (w *partWriter) Write(p []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, complete := bytes.Cut(w.rest, []byte("\n"))
		if !complete && len(w.rest) < longestLine {
			return len(p), nil
		}
		if !complete {
			line, rest = w.rest[:longestLine], w.rest[longestLine:]
		}
		w.line(bytes.TrimSuffix(line, []byte("\r")))
		w.rest = append(w.rest[:0], rest...)
	}
}

// line drops the error: a log that can't be written to must not stop the platform.
func (w *partWriter) line(text []byte) { _, _ = fmt.Fprintf(w.log.out, "%s%s\n", w.prefix, text) }
