package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// display shows how a run goes: one line for each event, and below them, on a terminal, a line that changes every second.
type display struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	ticks int
}

func newDisplay(out io.Writer) *display {
	d := &display{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		d.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return d
}

// everyNth of the status lines is shown where they can't replace one another.
const everyNth = 5

func (d *display) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(fmt.Sprintf(format, args...))
}

func (d *display) line(text string) {
	if d.terminal {
		text = "\r\033[K" + text
	}
	fmt.Fprintln(d.out, text)
}

func (d *display) event(at float64, what string, f fault) {
	d.say("  %5.1f s  %s %s", at, f, what)
}

// status shows the last second and where the votes are.
func (d *display) status(at float64, moments []moment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const second = int(time.Second / timestep)
	if len(moments) <= second {
		return
	}
	var good, bad int
	for _, m := range moments[len(moments)-1-second : len(moments)-1] { // the last one is not over yet
		good, bad = good+m.Accepted, bad+m.Refused+m.Unknown
	}
	last := moments[len(moments)-1]
	text := fmt.Sprintf("  %5.1f s  accepted %4d/s  not %4d/s  queue %s  stored %s  on screen %s", at, good, bad, number(last.Queue), number(last.Stored), number(last.OnScreen))
	if d.ticks++; d.terminal {
		fmt.Fprint(d.out, "\r\033[K"+text)
	} else if d.ticks%everyNth == 0 {
		d.line(text)
	}
}

// number is a dash where nothing was seen.
func number(n *int64) string {
	if n == nil {
		return "—"
	}
	return fmt.Sprint(*n)
}
