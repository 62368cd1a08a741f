package main

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// bystander is a target of which only prepare is asked.
type bystander struct{ target }

func (bystander) prepare(_ context.Context, f fault) (fault, error) {
	f.Arg = "prepared"
	return f, nil
}

func TestTheNextRunFindsWhatAKilledOneHasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.json")
	first, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	undone, err := first.open(t.Context(), bystander{}, fault{Kind: kill, Part: redis})
	if err != nil {
		t.Fatal(err)
	}
	left, err := first.open(t.Context(), bystander{}, fault{Kind: memory, Part: redis})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.close(undone); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path); err == nil {
		t.Error("a second run may break the same platform at the same time")
	}
	if err := first.release(); err != nil { // as the kernel does when a run is killed
		t.Fatal(err)
	}
	second, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if got := second.left(); !slices.Equal(got, []fault{left}) || left.Arg != "prepared" {
		t.Errorf("left are %+v, want %+v", got, left)
	}
}
