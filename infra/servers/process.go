// Package servers runs real Redis and PostgreSQL servers, and any other program, as private child processes that can be
// killed, paused, started again and stopped, and that never outlive the program that started them.
//
// Every child keeps these promises:
//
//   - It listens on the loopback interface only.
//   - It runs in a process group of its own, so a Ctrl-C in the terminal reaches the parent alone, which then ends its
//     children in the order it wants.
//   - Kill, Pause and Resume reach every process the child has started. They follow the process table, because a signal
//     to the process group would miss PostgreSQL's backends, which run in sessions of their own.
//   - Every wait is bounded, by the caller's context and by a limit of its own.
//   - On Linux the kernel ends the child when its parent is gone, however the parent ended. Elsewhere only a parent
//     that ends by itself takes its children along.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"petvote/infra/wait"
)

// The limits of a start and a stop hold where the caller's context sets none.
const (
	startLimit = 60 * time.Second
	stopLimit  = 30 * time.Second
	killLimit  = 10 * time.Second
)

// Readiness is polled often at first, since most processes need only a moment, and then less often, since some log a
// line each time.
const (
	firstReadyPoll = 10 * time.Millisecond
	lastReadyPoll  = 250 * time.Millisecond
)

// Spec describes a child process. The zero value of a field means what its comment says.
type Spec struct {
	Name         string              // what messages call it
	Path         string              // the program
	Args         []string            // its arguments, without the program's name
	Env          []string            // its environment; nil: this process's own
	Dir          string              // its working directory; "": this process's own
	Credential   *syscall.Credential // the user it runs as; nil: this process's own
	Input        io.Reader           // its stdin; nil: empty
	Output       io.Writer           // receives its stdout and stderr, one Write at a time; nil: only Log keeps the end
	StopSignal   syscall.Signal      // asks it to stop; 0: SIGTERM
	OrphanSignal syscall.Signal      // sent by the kernel when this process is gone (Linux only); 0: SIGKILL

	// Ready is called again and again until it answers nil: the process with this id serves. nil: ready once started.
	Ready func(ctx context.Context, pid int) error
}

// Process is a child process that can be started again after it has ended. Its methods may be called from several
// goroutines.
type Process struct {
	spec Spec

	mu      sync.Mutex
	current *run // the newest run, which may have ended; the zero value before the first start
}

// run is one life of a child process.
type run struct {
	pid  int
	log  *tail
	done chan struct{} // closed when the process is gone and reaped; nil before its start
	err  error         // how it ended; set before done is closed
}

// NewProcess describes a child process without starting it.
func NewProcess(spec Spec) *Process {
	if spec.StopSignal == 0 {
		spec.StopSignal = syscall.SIGTERM
	}
	if spec.OrphanSignal == 0 {
		spec.OrphanSignal = syscall.SIGKILL
	}
	return &Process{spec: spec, current: &run{log: new(tail)}}
}

// Run runs a program to its end. An exit status other than 0 is an error, with the end of the output unless spec.Output
// receives it. When ctx is done, the program is killed with everything it has started.
func Run(ctx context.Context, spec Spec) error {
	p := NewProcess(spec)
	r, err := p.launch()
	if err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %w", spec.Name, context.Cause(ctx)), p.Kill())
	}
	switch {
	case r.err == nil:
		return nil
	case spec.Output != nil:
		return fmt.Errorf("%s: %w", spec.Name, r.err)
	}
	return fmt.Errorf("%s: %w:\n%s", spec.Name, r.err, r.log)
}

// Start starts the process and returns once it is ready. When it ends or ctx is done before that (after 60 s, if ctx
// sets no deadline), nothing is left running, and the error gives the reason; it is an *EarlyExit if the process ended
// by itself. Starting a process that runs is an error.
func (p *Process) Start(ctx context.Context) error {
	ctx, cancel := withLimit(ctx, startLimit)
	defer cancel()
	r, err := p.launch()
	if err != nil {
		return err
	}
	if err := p.awaitReady(ctx, r); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (p *Process) launch() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.alive() {
		return nil, fmt.Errorf("start %s: it is running already (pid %d)", p.spec.Name, p.current.pid)
	}
	r := &run{log: &tail{next: p.spec.Output}, done: make(chan struct{})}
	cmd := exec.Command(p.spec.Path, p.spec.Args...)
	cmd.Env, cmd.Dir = p.spec.Env, p.spec.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.spec.Input, r.log, r.log
	cmd.WaitDelay = time.Second // a grandchild that survives it must not hold the run open through the output pipe
	cmd.SysProcAttr = attributes(p.spec.Credential, p.spec.OrphanSignal)

	started := make(chan error)
	go r.live(cmd, started)
	err := <-started
	if c := p.spec.Credential; c != nil && errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: user %d, which it runs as, must be able to enter %s", err, c.Uid, p.spec.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.current = r
	return r, nil
}

// live starts the process and reaps it. Both happen on one locked thread, because the kernel's "your parent is gone"
// signal follows the thread that started the child and not the process: a thread that Go retires would take a healthy
// child along.
func (r *run) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	r.pid = cmd.Process.Pid
	started <- nil
	if err := cmd.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		r.err = err
	}
	close(r.done)
}

func (r *run) alive() bool {
	select {
	case <-r.done:
		return false
	default:
		return r.done != nil
	}
}

func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.spec.Ready == nil {
		return nil
	}
	for pause := firstReadyPoll; ; pause = min(2*pause, lastReadyPoll) {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := p.spec.Ready(attempt, r.pid)
		cancel()
		if err == nil && r.alive() {
			return nil
		}
		select {
		case <-r.done:
			return &EarlyExit{Name: p.spec.Name, Err: r.err, Output: r.log.String()}
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (last answer: %v)", p.spec.Name, context.Cause(ctx), err)
		case <-time.After(pause):
		}
	}
}

// Stop asks the process to stop and waits until it has. When it takes longer than ctx allows (30 s, if ctx sets no
// deadline), it is killed, and the error says so. Stopping a process that does not run is no error.
func (p *Process) Stop(ctx context.Context) error { return p.end(ctx, p.spec.StopSignal) }

func (p *Process) end(ctx context.Context, stop syscall.Signal) error {
	r := p.run()
	if !r.alive() {
		return nil
	}
	ctx, cancel := withLimit(ctx, stopLimit)
	defer cancel()
	err := signal(stop, r.pid)
	if err == nil {
		err = thaw(r.pid) // a paused process would never see the signal
	}
	if err == nil {
		select {
		case <-r.done:
			return nil
		case <-ctx.Done():
			err = fmt.Errorf("killed before it was done: %w", context.Cause(ctx))
		}
	}
	return errors.Join(fmt.Errorf("stop %s: %w", p.spec.Name, err), p.Kill())
}

// Kill ends the process and everything it has started with SIGKILL, and returns when they are gone. Killing a process
// that does not run is no error.
func (p *Process) Kill() error {
	r := p.run()
	if !r.alive() {
		return nil
	}
	members, err := freeze(r.pid) // so that nothing can start a process that the list does not hold
	if err == nil {
		err = signal(syscall.SIGKILL, members...)
	}
	if err == nil {
		err = wait.Until(context.Background(), killLimit, func(context.Context) error {
			if err := ended(members); err != nil || !r.alive() {
				return err
			}
			return fmt.Errorf("process %d is not reaped", r.pid)
		})
	}
	if err != nil {
		return fmt.Errorf("kill %s: %w", p.spec.Name, err)
	}
	return nil
}

// Pause freezes the process and everything it has started (SIGSTOP): connections stay open, and nothing answers on
// them.
func (p *Process) Pause() error {
	return p.whileRunning("pause", func(pid int) error {
		_, err := freeze(pid)
		return err
	})
}

// Resume lets a paused process go on (SIGCONT). Resuming one that is not paused changes nothing.
func (p *Process) Resume() error { return p.whileRunning("resume", thaw) }

func (p *Process) whileRunning(verb string, do func(pid int) error) error {
	err := errors.New("it does not run")
	if r := p.run(); r.alive() {
		err = do(r.pid)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, p.spec.Name, err)
	}
	return nil
}

// Name is the process's name in messages.
func (p *Process) Name() string { return p.spec.Name }

// PID is the process id of the newest run; 0 before the first start.
func (p *Process) PID() int { return p.run().pid }

// Running reports whether the process runs; a paused one does.
func (p *Process) Running() bool { return p.run().alive() }

// Done is closed when the newest run has ended. Before the first start it is nil, which blocks forever.
func (p *Process) Done() <-chan struct{} { return p.run().done }

// Err is the end of the newest run in the words of os/exec ("exit status 1", "signal: killed"). It is nil while the
// process runs and after exit status 0.
func (p *Process) Err() error {
	if r := p.run(); !r.alive() {
		return r.err
	}
	return nil
}

// Log is the end of the newest run's output.
func (p *Process) Log() string { return p.run().log.String() }

func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

func (p *Process) run() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}
