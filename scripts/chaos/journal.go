package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// journal is the list of faults that are not undone yet, in a file, so that the next run undoes what one left that was killed.
// It is also the lock that keeps a second run away from the same target.
type journal struct {
	path string // empty: the target ends with this process, and its faults with it
	lock *os.File

	mu     sync.Mutex
	faults []fault
}

// openJournal takes the journal of a target.
func openJournal(path string) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another run is breaking this platform already (%s is locked)", lock.Name()), lock.Close())
	}
	j := &journal{path: path, lock: lock}
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &j.faults)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), lock.Close())
	}
	return j, nil
}

// left are the faults that a run before this one has not undone.
func (j *journal) left() []fault {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.faults)
}

// open notes a fault before it is done, with what its undoing has to know.
func (j *journal) open(ctx context.Context, t target, f fault) (fault, error) {
	f, err := t.prepare(ctx, f)
	if err != nil {
		return f, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = append(j.faults, f)
	return f, j.write()
}

// close notes that a fault is undone.
func (j *journal) close(f fault) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.Index(j.faults, f); i >= 0 {
		j.faults = slices.Delete(j.faults, i, i+1)
	}
	return j.write()
}

func (j *journal) write() error {
	if j.path == "" {
		return nil
	}
	text, err := json.Marshal(j.faults)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	written := j.path + ".new"
	if err := os.WriteFile(written, text, 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := os.Rename(written, j.path); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// release lets the next run have the journal.
func (j *journal) release() error {
	if j.lock == nil {
		return nil
	}
	return j.lock.Close()
}

// journalPath is where the journal of a Compose project is, on this machine and for this user.
func journalPath(project string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	dir := filepath.Join(cache, "petvote")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("journal: %w", err)
	}
	return filepath.Join(dir, "chaos-"+project+".json"), nil
}
