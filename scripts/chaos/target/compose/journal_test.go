package compose

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"petvote/infra/platform"
	"petvote/infra/testenv"
	"petvote/scripts/chaos/scenario"
)

func TestTheNextRunFindsTheFaultsOfAKilledOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.json")
	first, err := openJournal(path)
	testenv.Must(t, err)
	undone := scenario.Fault{Kind: scenario.Kill, Part: platform.Redis}
	left := scenario.Fault{Kind: scenario.Memory, Part: platform.Redis, Arg: "268435456"}
	testenv.Must(t, errors.Join(first.add(undone), first.add(left), first.remove(undone)))
	if _, err := openJournal(path); err == nil {
		t.Error("a second run may break the same platform at the same time")
	}
	if err := first.lock.Close(); err != nil { // as the kernel does when a run is killed
		t.Fatal(err)
	}
	second, err := openJournal(path)
	testenv.Must(t, err)
	defer second.lock.Close()
	if !slices.Equal(second.faults, []scenario.Fault{left}) {
		t.Errorf("left are %+v, want %+v", second.faults, left)
	}
	if noted, found := second.find(scenario.Fault{Kind: scenario.Memory, Part: platform.Redis}); !found || noted != left {
		t.Errorf("found %+v, %v", noted, found)
	}
	if _, found := second.find(undone); found {
		t.Error("a fault that is undone is found")
	}
}
