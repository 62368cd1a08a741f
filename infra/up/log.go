package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	speaker     = "petvote" // the name in front of the platform's own lines
	longestLine = 64 << 10  // a longer line is written in pieces
)

// palette holds the colours that are readable on light and on dark ground.
var palette = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

// partLog merges the output of many parts. Each line begins with the name of its part, and is written when it is
// complete, so lines never mix.
type partLog struct {
	mu    sync.Mutex
	out   io.Writer
	parts map[string]*partWriter
}

// newLog makes a log for the named parts.
func newLog(out io.Writer, colour bool, names ...string) *partLog {
	l := &partLog{out: out, parts: make(map[string]*partWriter)}
	width := len(speaker)
	for _, name := range names {
		width = max(width, len(name))
	}
	add := func(name, colourCode string) {
		prefix := fmt.Sprintf("%-*s | ", width, name)
		if colour {
			prefix = "\x1b[" + colourCode + "m" + prefix + "\x1b[0m"
		}
		l.parts[name] = &partWriter{log: l, prefix: prefix}
	}
	add(speaker, "1")
	for i, name := range names {
		add(name, palette[i%len(palette)])
	}
	return l
}

// wantsColour reports whether a file is a terminal that shows colours, and the user wants them (https://no-color.org).
func wantsColour(file *os.File, getenv func(string) string) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
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
