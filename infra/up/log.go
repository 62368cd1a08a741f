package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
)

// Log is one log of the output of many parts. Each line begins with the name of its part; lines never mix, and a part's line
// is written when it is complete. Lines of the platform itself come from Say.
type Log struct {
	mu      sync.Mutex
	out     io.Writer
	colour  bool
	width   int
	writers map[string]*partWriter
}

const (
	speaker     = "petvote" // the name in front of the platform's own lines
	longestLine = 64 << 10  // a line longer than this is written in pieces
)

// The colours of names: all that are readable on light and on dark ground.
var palette = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// NewLog makes a log for the named parts, which aligns their names.
func NewLog(out io.Writer, colour bool, names ...string) *Log {
	l := &Log{out: out, colour: colour, width: len(speaker), writers: make(map[string]*partWriter)}
	for i, name := range names {
		l.width = max(l.width, len(name))
		l.writers[name] = &partWriter{log: l, name: name, colour: palette[i%len(palette)]}
	}
	return l
}

// WantsColour tells whether a file is a terminal that shows colours, and the user wants them (https://no-color.org).
func WantsColour(file *os.File, getenv func(string) string) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// Part gives the writer for a part's output. The name is one of those NewLog knows.
func (l *Log) Part(name string) io.Writer { return l.writers[name] }

// Say writes a line of the platform itself.
func (l *Log) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(fmt.Appendf(nil, format, args...)) {
		l.line(speaker, "1", bytes.TrimSuffix(line, []byte("\n")))
	}
}

// Show writes a text as it is, without a name, between the lines.
func (l *Log) Show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, text)
}

// Flush writes what a part has left as an unfinished line. It is for a part that has ended.
func (l *Log) Flush(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.writers[name]; w != nil && len(w.rest) > 0 {
		l.line(w.name, w.colour, w.rest)
		w.rest = w.rest[:0]
	}
}

// line writes one line. A log that can't be written to must not stop the platform, so the error is dropped.
func (l *Log) line(name, colour string, text []byte) {
	prefix := fmt.Sprintf("%-*s | ", l.width, name)
	if l.colour {
		prefix = "\x1b[" + colour + "m" + prefix + "\x1b[0m"
	}
	_, _ = fmt.Fprintf(l.out, "%s%s\n", prefix, text)
}

// partWriter splits a part's output into lines.
type partWriter struct {
	log    *Log
	name   string
	colour string
	rest   []byte // the beginning of a line whose end has not come yet
}

// Write never fails: see Log.line.
func (w *partWriter) Write(p []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		skip := 1
		if end < 0 && len(w.rest) >= longestLine {
			end, skip = longestLine, 0
		}
		if end < 0 {
			return len(p), nil
		}
		w.log.line(w.name, w.colour, bytes.TrimSuffix(w.rest[:end], []byte("\r")))
		w.rest = append(w.rest[:0], w.rest[end+skip:]...)
	}
}
