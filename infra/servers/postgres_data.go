package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// initialize makes the data folder if there is none. It is made beside its place and then moved there, so that a folder is
// complete whenever it exists, even if an earlier attempt was killed.
func (p *Postgres) initialize(ctx context.Context) error {
	if err := p.account.ownDir(p.cfg.Dir); err != nil {
		return err
	}
	if _, err := os.Stat(p.dataDir()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished, password := filepath.Join(p.cfg.Dir, "unfinished"), filepath.Join(p.cfg.Dir, "password")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := p.account.ownFile(password, []byte(p.cfg.Password)); err != nil {
		return err
	}
	defer os.Remove(password)

	locale := "C.UTF-8"
	if runtime.GOOS != "linux" {
		locale = "C" // not every macOS knows C.UTF-8; the encoding is UTF-8 all the same
	}
	if err := Run(ctx, Spec{
		Name: "initdb",
		Path: filepath.Join(p.bin, "initdb"),
		Args: []string{"-D", unfinished, "-U", p.cfg.User, "--pwfile", password, "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", locale, "--no-instructions"},
		Dir:        p.cfg.Dir,
		Credential: p.account.credential(),
	}); err != nil {
		return err
	}
	return os.Rename(unfinished, p.dataDir())
}

// previousStillEnding tells whether a start failed only because processes of a killed server have the data open still. They
// end by themselves as soon as they notice.
func previousStillEnding(err error) bool {
	var early *EarlyExit
	return errors.As(err, &early) &&
		(strings.Contains(early.Output, "pre-existing shared memory block") || strings.Contains(early.Output, `lock file "postmaster.pid" already exists`))
}

// removeStaleLock removes the lock file of a killed server if its process id now belongs to a process that has nothing to do
// with this data, as can be after the machine was started anew. PostgreSQL itself refuses to start then, since it can't know.
func (p *Postgres) removeStaleLock() error {
	path := filepath.Join(p.dataDir(), "postmaster.pid")
	lines, err := lockLines(path)
	if err != nil || len(lines) == 0 {
		return err
	}
	table, err := processTable()
	if err != nil {
		return err
	}
	holder, err := strconv.Atoi(lines[0])
	if err != nil {
		return fmt.Errorf("%s begins with %q: %w", path, lines[0], err)
	}
	if _, ok := table[holder]; !ok {
		return nil // PostgreSQL sees that itself
	}
	for pid := range table {
		if worksIn(pid, p.dataDir()) { // every process of a server does
			return nil
		}
	}
	return os.Remove(path)
}

// lockLines gives the lines of a server's lock file; none if there is no file.
func lockLines(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range bytes.Lines(content) {
		lines = append(lines, strings.TrimSpace(string(line)))
	}
	return lines, nil
}

// Discard ends the server and removes its data, and the shared memory that a killed server has left, even if it has to be
// killed for it, which is an error all the same.
func (p *Postgres) Discard(ctx context.Context) error {
	stopped := p.Stop(ctx)
	lines, err := lockLines(filepath.Join(p.dataDir(), "postmaster.pid"))
	return errors.Join(stopped, err, removeSharedMemory(lines), os.RemoveAll(p.cfg.Dir))
}

// removeSharedMemory removes the System V segment that a killed server's lock file names in its seventh line (key and id; see
// LOCK_FILE_LINE_SHMEM_KEY in PostgreSQL's miscadmin.h).
func removeSharedMemory(lines []string) error {
	if len(lines) < 7 {
		return nil
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return nil
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return err
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("remove shared memory %d: %w", id, err)
	}
	return nil
}
