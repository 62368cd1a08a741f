package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// The limits of a start and a stop hold where the caller's context sets none.
const (
	startLimit = 60 * time.Second
	stopLimit  = 30 * time.Second
	killLimit  = 10 * time.Second
)

// A process is asked whether it is ready often at first, since most need only a moment, and then less often, since some write
// a line into their log each time.
const (
	firstReadyPoll = 10 * time.Millisecond
	lastReadyPoll  = 250 * time.Millisecond
)

// Spec says how a child process is started, how one knows that it is ready, and how it is asked to stop.
type Spec struct {
	Name       string              // what messages call it
	Path       string              // the program
	Args       []string            // its arguments, without the program's name
	Env        []string            // its environment; nil passes on this process's own
	Dir        string              // its working directory; "" is this process's own
	Credential *syscall.Credential // the user it runs as; nil is this process's own
	Output     io.Writer           // receives what it writes to stdout and stderr, one Write at a time; may be nil
	StopSignal syscall.Signal      // asks it to stop; 0 means SIGTERM

	// OrphanSignal is what the kernel sends it when this process is gone (Linux only); 0 means SIGKILL.
	OrphanSignal syscall.Signal

	// Ready answers nil once the process with this id serves. It is asked again until it does. Nil means ready when started.
	Ready func(ctx context.Context, pid int) error
}

// Process is a child process that can be started again after it has ended. Its methods may be called from several goroutines.
type Process struct {
	spec Spec

	mu      sync.Mutex
	current *run // the newest run, which may have ended; nil before the first start
}

// run is one life of a child process.
type run struct {
	pid  int
	log  *tail
	done chan struct{} // closed when the process is gone and reaped
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
	return &Process{spec: spec}
}

// Start starts the process and returns once it is ready. When it ends or ctx is done before that (after 60 s, if ctx sets no
// deadline), nothing is left running, and the error tells why; it is an *EarlyExit if the process ended by itself. Starting a
// process that runs is an error.
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
	cmd.Stdout, cmd.Stderr = r.log, r.log
	cmd.WaitDelay = time.Second // a grandchild that survives it must not hold the run open through the output pipe
	cmd.SysProcAttr = attributes(p.spec.Credential, p.spec.OrphanSignal)

	started := make(chan error)
	go r.live(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.current = r
	return r, nil
}

// live starts the process and reaps it. Both happen on one locked thread, because the kernel's "your parent is gone" signal
// follows the thread that started the child and not the process: a thread that Go retires would take a healthy child along.
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
	if r == nil {
		return false
	}
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.spec.Ready == nil {
		return nil
	}
	for wait := firstReadyPoll; ; wait = min(2*wait, lastReadyPoll) {
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
		case <-time.After(wait):
		}
	}
}

// Stop asks the process to stop and waits until it has. When it takes longer than ctx allows (30 s, if ctx sets no deadline),
// it is killed, and the error says so. Stopping a process that does not run is no error.
func (p *Process) Stop(ctx context.Context) error { return p.end(ctx, p.spec.StopSignal) }

func (p *Process) end(ctx context.Context, asking syscall.Signal) error {
	r := p.run()
	if !r.alive() {
		return nil
	}
	ctx, cancel := withLimit(ctx, stopLimit)
	defer cancel()
	if err := signal(r.pid, asking); err != nil {
		return errors.Join(fmt.Errorf("stop %s: %w", p.spec.Name, err), p.Kill())
	}
	if err := thaw(r.pid); err != nil { // a paused process would never see the signal
		return errors.Join(fmt.Errorf("stop %s: %w", p.spec.Name, err), p.Kill())
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop %s: killed before it was done: %w", p.spec.Name, context.Cause(ctx)), p.Kill())
	}
}

// Kill ends the process and all it has started with SIGKILL, and returns when they are gone. Killing a process that does not
// run is no error.
func (p *Process) Kill() error {
	r := p.run()
	if !r.alive() {
		return nil
	}
	// Frozen first, so that nothing can start a process that the list does not hold.
	members, err := freeze(r.pid)
	if err != nil {
		return fmt.Errorf("kill %s: %w", p.spec.Name, err)
	}
	for _, pid := range members {
		if err := signal(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill %s: %w", p.spec.Name, err)
		}
	}
	limit := time.After(killLimit)
	select {
	case <-r.done:
	case <-limit:
		return fmt.Errorf("kill %s: still there after %v", p.spec.Name, killLimit)
	}
	for {
		left, err := living(members)
		if err != nil || len(left) == 0 {
			return err
		}
		select {
		case <-limit:
			return fmt.Errorf("kill %s: processes %v still there after %v", p.spec.Name, left, killLimit)
		case <-time.After(time.Millisecond):
		}
	}
}

// Pause freezes the process and all it has started (SIGSTOP): connections stay open, and nothing answers on them.
func (p *Process) Pause() error {
	r := p.run()
	if !r.alive() {
		return fmt.Errorf("pause %s: it does not run", p.spec.Name)
	}
	if _, err := freeze(r.pid); err != nil {
		return fmt.Errorf("pause %s: %w", p.spec.Name, err)
	}
	return nil
}

// Resume lets a paused process go on (SIGCONT). Resuming one that is not paused changes nothing.
func (p *Process) Resume() error {
	r := p.run()
	if !r.alive() {
		return fmt.Errorf("resume %s: it does not run", p.spec.Name)
	}
	if err := thaw(r.pid); err != nil {
		return fmt.Errorf("resume %s: %w", p.spec.Name, err)
	}
	return nil
}

// PID is the process id of the newest run; 0 before the first start.
func (p *Process) PID() int {
	if r := p.run(); r != nil {
		return r.pid
	}
	return 0
}

// Running tells whether the process runs; a paused one does.
func (p *Process) Running() bool { return p.run().alive() }

// Done is closed when the newest run has ended. Before the first start it is nil, which blocks for ever.
func (p *Process) Done() <-chan struct{} {
	if r := p.run(); r != nil {
		return r.done
	}
	return nil
}

// Err tells how the newest run ended, in the words of os/exec ("exit status 1", "signal: killed"). It is nil while the process
// runs and after an end with status 0.
func (p *Process) Err() error {
	if r := p.run(); r != nil && !r.alive() {
		return r.err
	}
	return nil
}

// Log is the end of what the newest run wrote to stdout and stderr.
func (p *Process) Log() string {
	if r := p.run(); r != nil {
		return r.log.String()
	}
	return ""
}

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
