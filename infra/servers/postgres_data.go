package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initialize makes the data folder if there is none: a copy of the template, or else a new one that becomes the
// template. It is made beside its place and then moved there, so a data folder that exists is complete, even if an
// attempt was killed.
func (p *Postgres) initialize(ctx context.Context) error {
	if err := ownDir(p.owner, p.Dir); err != nil {
		return err
	}
	if _, err := os.Stat(p.dataDir()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := filepath.Join(p.Dir, "unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	template, err := p.template()
	if err != nil {
		return err
	}
	if _, missing := os.Stat(template); p.cfg.StandbyOf != nil {
		err = p.copyPrimary(ctx, unfinished)
	} else if template != "" && missing == nil {
		err = errors.Join(copyData(unfinished, template), ownDir(p.owner, unfinished))
	} else {
		err = p.initdb(ctx, unfinished)
		if err == nil && template != "" {
			_ = saveTemplate(template, unfinished) // without a template the next server only starts more slowly
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(unfinished, p.dataDir())
}

// copyPrimary makes a data folder that follows the primary.
func (p *Postgres) copyPrimary(ctx context.Context, dir string) error {
	backup := p.spec
	backup.Name, backup.Path = "pg_basebackup", filepath.Join(filepath.Dir(p.spec.Path), "pg_basebackup")
	backup.Args = []string{"--dbname", p.cfg.StandbyOf.URL(), "--pgdata", dir, "--write-recovery-conf",
		"--checkpoint", "fast", "--wal-method", "stream"}
	backup.Output = nil
	return Run(ctx, backup)
}

// initdb makes a data folder with the database in it.
func (p *Postgres) initdb(ctx context.Context, dir string) error {
	password := filepath.Join(p.Dir, "password")
	if err := errors.Join(os.WriteFile(password, []byte(petvote), 0o600), ownDir(p.owner, p.Dir)); err != nil {
		return err
	}
	defer os.Remove(password)
	initdb, create := p.spec, p.spec
	initdb.Name, initdb.Path = "initdb", filepath.Join(filepath.Dir(p.spec.Path), "initdb")
	initdb.Args = []string{"-D", dir, "-U", petvote, "--pwfile", password, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-instructions"}
	if !p.cfg.Initdb {
		initdb.Args = append(initdb.Args, "--wal-segsize=1") // MB instead of 16: less to copy
	}
	create.Name = "create the database"
	create.Args = []string{"--single", "-D", dir, "-c", "exit_on_error=on", "postgres"}
	create.Input = strings.NewReader("create database " + petvote + "\n")
	for _, spec := range []Spec{initdb, create} {
		spec.Output = nil
		if err := Run(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// template is the path of the data to copy, with a name of its own for each build of the program; "" without a template
// or a cache for it.
func (p *Postgres) template() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil || p.cfg.Initdb {
		return "", nil
	}
	program, err := os.Stat(p.spec.Path)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %v %d", p.spec.Path, program.ModTime(), program.Size()))
	return filepath.Join(cache, "petvote", fmt.Sprintf("postgres-%x", key[:8])), nil
}

// saveTemplate copies data that no server has open. Of several processes that do so at once the first one wins.
func saveTemplate(template, data string) error {
	folder := filepath.Dir(template)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	staging, err := os.MkdirTemp(folder, "new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staging)
	copied := filepath.Join(staging, "data")
	if err := copyData(copied, data); err != nil {
		return err
	}
	if err := os.Rename(copied, template); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// copyData copies a data folder. PostgreSQL insists on the mode.
func copyData(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return os.Chmod(to, 0o700)
}

// Discard stops the server without a last checkpoint (SIGQUIT), since nobody will read the data, and removes the data
// and the shared memory that a killed server leaves. Having to kill it is an error, but the data is removed all the
// same.
func (p *Postgres) Discard(ctx context.Context) error {
	return errors.Join(p.end(ctx, syscall.SIGQUIT), p.removeSharedMemory(), os.RemoveAll(p.Dir))
}

// removeSharedMemory removes the System V segment whose key and id a killed server leaves in the seventh line of its
// lock file: see LOCK_FILE_LINE_SHMEM_KEY in PostgreSQL's miscadmin.h.
func (p *Postgres) removeSharedMemory() error {
	lock, err := os.ReadFile(filepath.Join(p.dataDir(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the server ended in order
	}
	if err != nil {
		return err
	}
	var key, id int
	lines := strings.Split(string(lock), "\n")
	if len(lines) < 7 {
		return nil
	}
	if n, _ := fmt.Sscan(lines[6], &key, &id); n < 2 {
		return nil // killed before it had shared memory
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return err
	}
	return nil
}
