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

// report is the result of a run.
type report struct {
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Quick   bool      `json:"quick"`
	Machine machine   `json:"machine"`
	Figures []figure  `json:"figures"`
}

// write writes bench.json and bench.md into a folder and prints the table.
func (r *report) write(dir string, out io.Writer) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	kind := "A whole run"
	if r.Quick {
		kind = "A quick run"
	}
	summary := fmt.Sprintf("%s, %s, on %s\n\n", kind, r.Took, r.Machine)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, summary, "figure\tmeasured\tcompared with\tratio\tmust be\t\n")
	var markdown strings.Builder
	fmt.Fprint(&markdown, summary, "| figure | measured | compared with | ratio | must be | |\n"+
		"|---|--:|--:|--:|--:|---|\n")
	for _, f := range r.Figures {
		fmt.Fprintln(table, strings.Join(f.cells(), "\t")+"\t")
		fmt.Fprintf(&markdown, "| %s |\n", strings.ReplaceAll(strings.Join(f.cells(), " | "), "\n", " "))
	}
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "bench.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.md"), []byte(markdown.String()), 0o644),
		table.Flush(),
	)
}
