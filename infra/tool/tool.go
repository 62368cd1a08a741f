// Package tool is the frame of the programs that a person runs: their start, end, arguments and locks.
package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"petvote/shared/lifecycle"
)

// Main runs a program, which prints its version if asked to, and returns its exit status. Ctrl-C, SIGTERM and a closed
// terminal end the context; a second one ends the program at once.
func Main(name string, run func(ctx context.Context, args []string, out, progress io.Writer) int) int {
	if lifecycle.PrintVersion(os.Stdout, name, os.Args[1:]) {
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Flags are a program's flags. Their help, which goes to out like every complaint, begins with the usage.
func Flags(name, usage string, out io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	return flags
}

// Parse reads the arguments, which are flags alone, and checks them. Without help and without an error, ok is true;
// else status is the program's exit status: 0 after the help, 2 for arguments that make no sense.
func Parse(flags *flag.FlagSet, args []string, check func() error) (status int, ok bool) {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0, false
	case err != nil:
		return 2, false // the flags have said it
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	default:
		err = check()
	}
	if err != nil {
		fmt.Fprintf(flags.Output(), "%s: %v\n", flags.Name(), err)
		return 2, false
	}
	return 0, true
}

// ErrLocked is the error of a file that another process has locked; the message names that process.
var ErrLocked = errors.New("another process has it")

// Lock locks a file for this process, and makes it and its folder if they are missing. The kernel unlocks it when the
// process ends, however it ends.
func Lock(path string) (lock *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if lock, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := make([]byte, 20)
		n, _ := lock.Read(holder) // the number is only for the message
		err = fmt.Errorf("%w (process %s)", ErrLocked, strings.TrimSpace(string(holder[:n])))
	}
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(lock, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), lock.Close())
	}
	return lock, nil
}
