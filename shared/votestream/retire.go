package votestream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// retirement gives up all of a client's connections once one of them leads to a Redis that hangs or has lost its role:
// after a failover behind one address the connections made before it lead to the old server, new ones to the new
// server. The client itself drops only the connection that timed out, or whose first reply is READONLY.
type retirement struct{ generation atomic.Int64 }

var errRetired = errors.New("connection retired: it leads to a Redis that hangs or has lost its role")

// unusable reports errors of a server that hangs, or is read-only, orphaned or isolated, or of a replica in a cluster.
func unusable(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	_, moved := redis.IsMovedError(err)
	return moved || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsClusterDownError(err) ||
		redis.IsNoReplicasError(err) || redis.HasErrorPrefix(err, "UNBLOCKED")
}

// retiringConn is a connection of one generation. The pool asks for SyscallConn before it reuses an idle one, and
// closes the connection on an error.
type retiringConn struct {
	net.Conn
	*retirement
	made int64 // its generation
}

func (c retiringConn) SyscallConn() (syscall.RawConn, error) {
	if c.made != c.generation.Load() {
		return nil, errRetired
	}
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return unchecked{}, nil
}

// unchecked stands for the connections that the pool does not look into: those with TLS.
type unchecked struct{}

func (unchecked) Control(func(uintptr)) error    { return nil }
func (unchecked) Read(func(uintptr) bool) error  { return nil }
func (unchecked) Write(func(uintptr) bool) error { return nil }

func (r *retirement) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		made := r.generation.Load() // before the connection is made: it may lead to the old server until it is
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return retiringConn{conn, r, made}, nil
	}
}

func (r *retirement) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if unusable(err) {
			r.generation.Add(1)
		}
		return err
	}
}

func (r *retirement) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err != nil && !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Err() != nil }) {
			for _, cmd := range cmds { // there is no connection, because the password is wrong, for instance
				cmd.SetErr(err)
			}
		}
		if err != nil && slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return unusable(cmd.Err()) }) {
			r.generation.Add(1)
		}
		return err
	}
}
