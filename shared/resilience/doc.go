// Package resilience holds the one policy by which every call to Redis and PostgreSQL is made:
//
//	Policy.Do ─▶ backoff ─▶ circuit breaker ─▶ time-out ─▶ the call
//	  budget     jitter      one for each        one for
//	             between     dependency and      each
//	             attempts    kind of use         attempt
//
// # The order, and why
//
// The time-out is innermost, so that a dependency that hangs looks to the breaker like one that fails. The breaker
// counts attempts, not calls, and so opens as soon as the dependency is seen to be down. The backoff is outermost: it
// waits between attempts and, for a policy that has no budget (a worker that must not give up), waits out an open
// breaker too. For a policy with a budget (a request that a person waits for) an open breaker ends the call at once.
// There is no other layer of retries: the clients' own are switched off.
//
// # What counts as a failure
//
// A [Classifier] sorts errors into three classes. [Unavailable]: the dependency did not do it; counted against the
// breaker and tried again. [Rejected]: it answered, and would answer the same again (a missing key, bad data); neither
// counted nor tried again. [Canceled]: the caller gave up; neither, and a half-open breaker learns nothing from it.
//
// # Failure
//
// A call that was not done returns an error that wraps [ErrUnavailable] and the cause; for an open breaker the cause is
// gobreaker.ErrOpenState or gobreaker.ErrTooManyRequests. Such a call may have taken effect nevertheless (its answer was
// lost), so what is called must be safe to repeat.
//
// A [Monitor] pings a dependency beside the calls and is what readiness asks.
package resilience
