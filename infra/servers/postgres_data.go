package servers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initialize makes the data folder if there is none, from the template or else by initdb, and says whether initdb made it.
// It is made beside its place and then moved there: a data folder that exists is complete, even if an attempt was killed.
func (p *Postgres) initialize(ctx context.Context) (fresh bool, err error) {
	if err := p.account.ownDir(p.cfg.Dir); err != nil {
		return false, err
	}
	if _, err := os.Stat(p.dataDir()); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	unfinished := filepath.Join(p.cfg.Dir, "unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return false, err
	}
	template, err := p.template()
	if err != nil {
		return false, err
	}
	_, err = os.Stat(template)
	if template != "" && err == nil {
		err = errors.Join(copyData(unfinished, template), p.account.ownDir(unfinished))
	} else {
		fresh, err = true, p.initdb(ctx, unfinished)
	}
	if err != nil {
		return false, err
	}
	return fresh, os.Rename(unfinished, p.dataDir())
}

func (p *Postgres) initdb(ctx context.Context, dir string) error {
	password := filepath.Join(p.cfg.Dir, "password")
	if err := p.account.ownFile(password, []byte(p.cfg.Password)); err != nil {
		return err
	}
	defer os.Remove(password)
	locale := "C.UTF-8"
	if runtime.GOOS != "linux" {
		locale = "C" // not every macOS knows C.UTF-8; the encoding is UTF-8 all the same
	}
	args := []string{"-D", dir, "-U", p.cfg.User, "--pwfile", password, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", locale, "--no-instructions"}
	if p.cfg.Template != "" {
		args = append(args, "--wal-segsize=1") // MB instead of 16: less to copy
	}
	return Run(ctx, Spec{
		Name:       "initdb",
		Path:       filepath.Join(p.bin, "initdb"),
		Args:       args,
		Dir:        p.cfg.Dir,
		Credential: p.account.credential(),
	})
}

// TemplateFolder is this user's folder for PostgresConfig.Template: petvote in the cache. It is "", no template, for a user
// without a cache.
func TemplateFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "petvote")
}

// template is the path of the data to copy; "" without a template. It names the program, the user, the password and the
// database, so that whatever makes the data differ makes another template.
func (p *Postgres) template() (string, error) {
	if p.cfg.Template == "" {
		return "", nil
	}
	program, err := os.Stat(p.spec.Path)
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %v %d %q %q %q", p.spec.Path, program.ModTime(), program.Size(),
		p.cfg.User, p.cfg.Password, p.cfg.Database))
	return filepath.Join(p.cfg.Template, fmt.Sprintf("postgres-%x", key[:8])), nil
}

// saveTemplate copies the data of the stopped server. Of several processes that do so at once the first one wins.
func (p *Postgres) saveTemplate() error {
	template, err := p.template()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.cfg.Template, 0o700); err != nil {
		return err
	}
	staging, err := os.MkdirTemp(p.cfg.Template, "new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staging)
	data := filepath.Join(staging, "data")
	if err := copyData(data, p.dataDir()); err != nil {
		return err
	}
	if err := os.Rename(data, template); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// copyData copies a data folder that no server has open. PostgreSQL insists on the mode.
func copyData(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return os.Chmod(to, 0o700)
}

// previousStillEnding tells whether a start failed only because processes of a killed server have the data open still. They
// end by themselves as soon as they notice.
func previousStillEnding(err error) bool {
	var early *EarlyExit
	return errors.As(err, &early) &&
		(strings.Contains(early.Output, "pre-existing shared memory block") || strings.Contains(early.Output, `lock file "postmaster.pid" already exists`))
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

// Discard ends the server and removes its data, and the shared memory that a killed server has left. It ends the server
// without a last checkpoint (SIGQUIT), since nobody will read the data. Having to kill it is an error.
func (p *Postgres) Discard(ctx context.Context) error {
	stopped := p.end(ctx, syscall.SIGQUIT)
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
