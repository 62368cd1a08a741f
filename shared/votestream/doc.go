// Package votestream holds the queues between the vote service and the workers: each is a Redis stream, its consumer
// group, and its dead letters.
//
//	Producer.Publish ─XADD─▶ stream "votes" ─XREADGROUP─▶ Consumer.Next ─▶ stored ─▶ Queue.Ack
//	                          │ group "workers"             ▲   │                 script: XACK, XDEL
//	                          │                             │   └─▶ Queue.DeadLetter
//	                          └─ pending of a dead consumer ┘     script: XADD {votes}:dead, XACK, XDEL
//	                             XCLAIM after ClaimIdle
//
// There may be several queues, each in a Redis of its own. A vote may enter by any of them, and even by several, since
// it counts once by its id. The IDs of entries of two queues may be equal, so an [Entry] names its queue too.
//
// # Invariants, of each queue
//
// An entry leaves the stream only through Ack or DeadLetter, which acknowledge and delete it together or not at all. So
// the stream's length is the number of unacknowledged entries, and entries-added = acked + dead-lettered + length at
// all times.
//
// Delivery is at least once. The reader must make the effect idempotent by the vote's id, and acknowledge only after
// the effect is durable.
//
// # Failure
//
// A consumer that restarts under its old name first gets its own pending entries, then claims those of dead consumers,
// in turns with new ones, so that an old backlog does not hold up fresh votes. A lost reply counts as a failed read:
// the entries that Redis delivered in it are pending and come with the next read. An entry is claimed when it has
// been idle for ClaimIdle, whoever holds it; a slow but living holder may then do the same work again, which the
// idempotent effect makes harmless. A holder that comes back to entries that it has deferred asks [Consumer.Hold] which
// of them are still its own.
//
// Entries count as untouched when Redis says so, and also when this process has seen no change for ClaimIdle by its
// monotonic clock, since Redis's clock may be stepped: see pendingWatch.
//
// Redis may run in cluster mode, where all keys of the queue lie in one slot. One server must own that slot for good:
// the client does not follow it to another.
//
// [Delivery.Deliveries] counts how often an entry was delivered. The count is high for an entry that kills its worker,
// and for the innocent ones delivered together with it. So the worker quarantines such entries: it retries each in
// isolation, after counting the retry with [Queue.CountRetry], and dead-letters the one whose retries exceed a limit.
//
// An entry may be too large to be read within a time-out. The read that it fails leaves it pending, and pending entries
// are read without the fields of those that are larger than any vote's, which are dead-lettered then.
//
// After a failover behind one address, old connections lead to a server that is read-only now, and new ones to the new
// server. The first READONLY (in a cluster MOVED), in whichever reply, or time-out gives up all connections made before
// it; the probes, which are writes without effect, find it where nothing else happens. If no reply shows it, the
// connections end after their lifetime: 75 s at most.
//
// Only commands of Redis 7.0 and older are used, so Valkey serves as well.
package votestream
