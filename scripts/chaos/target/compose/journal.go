package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"petvote/infra/tool"
	"petvote/scripts/chaos/scenario"
)

// journal lists the faults that are not undone yet, in a file, so that after a run was killed the next one undoes them.
// It also locks the project against a second run.
type journal struct {
	path string
	lock *os.File

	mu     sync.Mutex
	faults []scenario.Fault
}

// journalOf opens and locks the journal of a project, for this user on this machine.
func journalOf(project string) (*journal, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return openJournal(filepath.Join(cache, "petvote", "chaos-"+project+".json"))
}

func openJournal(path string) (*journal, error) {
	lock, err := tool.Lock(path + ".lock")
	if errors.Is(err, tool.ErrLocked) {
		err = fmt.Errorf("another run is using this platform: %w", err)
	}
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, lock: lock}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &j.faults)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), lock.Close())
	}
	return j, nil
}

// add notes a fault before it is injected.
func (j *journal) add(f scenario.Fault) error {
	return j.change(func(faults []scenario.Fault) []scenario.Fault { return append(faults, f) })
}

// remove notes that a fault is undone.
func (j *journal) remove(f scenario.Fault) error {
	return j.change(func(faults []scenario.Fault) []scenario.Fault {
		return slices.DeleteFunc(faults, func(other scenario.Fault) bool { return other == f })
	})
}

// find returns the fault as it was noted.
func (j *journal) find(f scenario.Fault) (noted scenario.Fault, found bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.IndexFunc(j.faults, func(n scenario.Fault) bool { return n.Kind == f.Kind && n.Part == f.Part })
	if i < 0 {
		return f, false
	}
	return j.faults[i], true
}

func (j *journal) change(by func([]scenario.Fault) []scenario.Fault) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = by(j.faults)
	text, err := json.Marshal(j.faults)
	if err == nil {
		err = os.WriteFile(j.path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
