package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// write leaves report.json and report.html in dir, which it makes. A reader finds the whole of a file or the one before, never a part.
func (r *record) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	var html bytes.Buffer
	if err := reportPage.Execute(&html, newPage(r)); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	// The numbers first: they are worth something without the page, and the page nothing without them.
	return errors.Join(replaceFile(filepath.Join(dir, "report.json"), append(data, '\n')), replaceFile(filepath.Join(dir, "report.html"), html.Bytes()))
}

func replaceFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
