package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// DefaultFolder is where the data is if the user does not say: /var/lib/petvote for root, whose home others can't enter, and
// for others a folder for state as the XDG Base Directory Specification has it.
func DefaultFolder(getenv func(string) string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/petvote", nil
	}
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "petvote"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the data: %w (say one with --data)", err)
	}
	return filepath.Join(home, ".local", "state", "petvote"), nil
}

// folder is the data folder, taken by this process until it ends or calls release.
type folder struct {
	path string
	lock *os.File
}

// takeFolder makes the folder if there is none, and takes it. That it is taken already is an error that names the process. The
// kernel frees a folder when its holder ends, however it does.
func takeFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(heldError(path, lock, err), lock.Close())
	}
	err = lock.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(lock, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data folder: %w", err), lock.Close())
	}
	return &folder{path: path, lock: lock}, nil
}

func heldError(path string, lock *os.File, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("data folder: lock %s: %w", lock.Name(), err)
	}
	holder := make([]byte, 20)
	n, _ := lock.Read(holder) // the number is only for the message
	return fmt.Errorf("the platform runs already with the data in %s (process %s): stop that one first, or use another folder with --data, and other ports",
		path, strings.TrimSpace(string(holder[:n])))
}

func (f *folder) release() error { return f.lock.Close() }

func (f *folder) join(name string) string { return filepath.Join(f.path, name) }
