// Package resilience is the one policy for every call to Redis and PostgreSQL:
//
//	Policy.Do ─▶ backoff ─▶ circuit breaker ─▶ time-out ─▶ the call
//	  budget     jittered    per dependency     per
//	             waits       and use            attempt
//
// # The order, and why
//
// The time-out is innermost, so that the breaker sees a hanging dependency as a failing one. The breaker counts
// attempts, not calls, so that it opens as soon as the dependency is known to be down. The backoff is outermost: it
// waits between attempts. Without a budget (a worker that must not give up) it also waits out an open breaker; with a
// budget (a request that a person waits for) an open breaker ends the call at once. This is the only layer of retries:
// the clients' own are off. Only the loops that read notices and the stream pause and start over after an error.
//
// # Several dependencies that stand in for each other
//
//	Any ─▶ backoff ─▶ each in order ─▶ the call ─▶ Policy.Once: circuit breaker ─▶ time-out
//
// Where any of several will do, [Any] takes the place of Policy.Do: it waits between rounds of all, and each has
// its own breaker. An attempt may share a round trip with other calls' attempts, as vote's group commits do.
//
// # What counts as a failure
//
// An attempt that fails, or exceeds its time-out, counts against the breaker and is retried. A permanent error
// ([Settings].Permanent: a missing key, bad data) is an answer: it counts as a success and is not retried. A failure of
// the call's size ([Settings].Oversized: a batch that times out) counts as one, and its caller retries less at once,
// since the same call would only time out again. A call that its caller cancels counts as neither. The call that probes
// a half-open breaker is cut off only a second after its caller cancels: clients that give up at once must not be able
// to keep a breaker open.
//
// # Failure
//
// A call that did not complete returns an error that wraps [ErrUnavailable] and the cause; [Refused] reports that an
// open breaker was the cause. The call may have taken effect nevertheless (its answer was lost), so it must be safe to
// repeat.
//
// A [Monitor] pings a dependency beside the calls; readiness reads its state. One lost ping is no outage; two in a row
// are.
package resilience
