package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"petvote/shared/ballot"
)

const terminalColumns = 110 // columns

// String is what the terminal says at the end: a row for each scenario, what did not hold, and the verdict as the last line.
func (r *record) String() string {
	table := [][]string{{"scenario", "verdict", "accepted", "refused", "unknown", "lost", "twice", "accepted again", "drained", "current"}}
	for i := range r.Scenarios {
		o := &r.Scenarios[i]
		h := o.healing()
		table = append(table, []string{o.Name, shout(o.Passed), ballot.Digits(o.Proof.Accepted), ballot.Digits(o.Proof.Refused), ballot.Digits(o.Proof.Unknown),
			ballot.Digits(o.Proof.Lost), ballot.Digits(o.Proof.CountedTwice), h.AcceptedAgain, h.Drained, h.Current})
	}
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	// The name takes what the numbers leave.
	rest := terminalColumns
	for _, w := range widths[1:] {
		rest -= w + 2
	}
	widths[0] = max(min(widths[0], rest), 8)

	var b strings.Builder
	for _, row := range table {
		line := padded(shorten(row[0], widths[0]), widths[0]) + "  " + padded(row[1], widths[1])
		for i, cell := range row[2:] {
			line += "  " + strings.Repeat(" ", widths[i+2]-utf8.RuneCountInString(cell)) + cell
		}
		b.WriteString(shorten(strings.TrimRight(line, " "), terminalColumns) + "\n")
	}
	for i := range r.Scenarios {
		if o := &r.Scenarios[i]; !o.Passed {
			b.WriteString("\n" + shorten(plain(o.Name), terminalColumns-14) + " did not hold:\n")
			for _, f := range o.Failures {
				b.WriteString(wrapped(f, "  "))
			}
		}
	}
	verdict, _ := r.verdict()
	b.WriteString("\n" + shorten(verdict+".", terminalColumns) + "\n")
	return b.String()
}

// line is what the terminal says as a scenario ends.
func (o *outcome) line() string {
	p, h := &o.Proof, o.healing()
	said := fmt.Sprintf("%s accepted, %s lost, %s twice", ballot.Digits(p.Accepted), ballot.Digits(p.Lost), ballot.Digits(p.CountedTwice))
	switch {
	case !o.Passed && len(o.Failures) > 0:
		said += ": " + plain(o.Failures[0])
	case len(o.Wounds) > 0:
		again := "again " + h.AcceptedAgain
		if h.AcceptedAgain == allAlong {
			again = "always accepted"
		}
		said += fmt.Sprintf("; %s, drained %s, current %s", again, h.Drained, h.Current)
	}
	return shorten(padded(shorten(o.Name, 18), 18)+"  "+padded(shout(o.Passed), 6)+"  "+said, terminalColumns)
}

func shout(passed bool) string {
	if passed {
		return "held"
	}
	return "FAILED"
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

// shorten cuts a text to a number of columns, on one line.
func shorten(s string, width int) string {
	s = plain(s)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width-1]), " ") + "…"
}

// plain keeps a text on one line and what it holds from commanding the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, s)
}

// wrapped breaks a text between words into lines that begin with indent.
func wrapped(text, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(plain(text)) {
		word = shorten(word, terminalColumns-len(indent))
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > terminalColumns {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	if line != indent {
		b.WriteString(line + "\n")
	}
	return b.String()
}
