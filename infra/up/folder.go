package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// defaultFolder is /var/lib/petvote for root, whose home the servers' users can't enter, and for others a folder for
// state according to the XDG Base Directory Specification.
func defaultFolder(getenv func(string) string) (string, error) {
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

// lockFolder makes the folder if it is missing, and locks it for this process. If another process holds it, the error
// names that process. The kernel unlocks it when the holder ends, however it ends.
func lockFolder(path string) (lock *os.File, err error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err = os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := make([]byte, 20)
		n, _ := lock.Read(holder) // the number is only for the message
		err = fmt.Errorf("another platform runs with the data in %s (process %s): stop it first, or use another folder "+
			"with --data, and other ports", path, strings.TrimSpace(string(holder[:n])))
		return nil, errors.Join(err, lock.Close())
	}
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(lock, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), lock.Close())
	}
	return lock, nil
}
