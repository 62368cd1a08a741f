package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what one run has found.
type report struct {
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Quick   bool      `json:"quick"`
	Machine machine   `json:"machine"`
	Figures []figure  `json:"figures"`
}

func (r *report) met() bool {
	for _, f := range r.Figures {
		if f.Verdict == missed || f.Verdict == refused {
			return false
		}
	}
	return true
}

// write puts bench.json and bench.md into a folder and shows the table.
func (r *report) write(dir string, out io.Writer) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "bench.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.md"), []byte(r.markdown()), 0o644),
		r.show(out),
	)
}

func (r *report) show(out io.Writer) error {
	fmt.Fprintf(out, "%s\n\n", r.summary())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tmeasured\tcompared with\tratio\tmust be\t")
	for _, f := range r.Figures {
		fmt.Fprintln(w, strings.Join(f.cells(), "\t")+"\t")
	}
	return w.Flush()
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| figure | measured | compared with | ratio | must be | |\n|---|--:|--:|--:|--:|---|\n", r.summary())
	for _, f := range r.Figures {
		fmt.Fprintf(&b, "| %s |\n", strings.ReplaceAll(strings.Join(f.cells(), " | "), "\n", " "))
	}
	return b.String()
}

func (r *report) summary() string {
	kind := "A whole run"
	if r.Quick {
		kind = "A quick run"
	}
	return fmt.Sprintf("%s, %s, on %s", kind, r.Took, r.Machine)
}

func (f figure) cells() []string {
	value, reference, ratio := "", "", ""
	if f.Unit != "" {
		value = number(f.Value) + " " + f.Unit
	}
	if f.Versus != "" {
		reference, ratio = f.Versus+" "+number(f.Reference), number(f.Ratio)
	}
	last := string(f.Verdict)
	if f.Note != "" {
		last = strings.TrimPrefix(last+"; "+f.Note, "; ")
	}
	return []string{f.Name, value, reference, ratio, f.Must, last}
}
