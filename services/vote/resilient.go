package main

import (
	"context"
	"time"

	"petvote/shared/resilience"
	"petvote/shared/votestream"
)

// A voter waits for the answer, so it comes within budget, whatever Redis does. Two attempts that hang fit into it.
const (
	budget         = 2 * time.Second
	attemptTimeout = 900 * time.Millisecond
)

func redisPolicy(name string, listener resilience.Listener) *resilience.Policy {
	return resilience.New(resilience.Settings{
		Name: name, Timeout: attemptTimeout, Budget: budget, MaxWait: 400 * time.Millisecond,
		Permanent: votestream.IsPermanent, Listener: listener,
	})
}

// resilientPublisher publishes under a policy.
type resilientPublisher struct {
	next   publisher
	policy *resilience.Policy
}

func (p resilientPublisher) Publish(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
	return resilience.Call(ctx, p.policy, func(ctx context.Context) (votestream.Entry, error) {
		return p.next.Publish(ctx, m)
	})
}
