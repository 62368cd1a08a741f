// Package votestream is the queue between the vote service and the workers: a Redis stream, its consumer group, and
// the dead letters.
//
//	Producer.Publish ──XADD──▶ stream "votes" ──XREADGROUP──▶ Consumer.Next ──▶ (stored) ──▶ Queue.Ack
//	                            │   group "workers"              ▲    │                        script: XACK, XDEL
//	                            │                                │    └─▶ Queue.DeadLetter
//	                            └── pending of a dead consumer ──┘         script: XADD votes:dead, XACK, XDEL
//	                                 XAUTOCLAIM after ClaimIdle
//
// # Invariants
//
// An entry leaves the stream only by Settle or Bury, which acknowledge and delete it together, or not at all.
// So the length of the stream is what is not yet settled, and entries-added = settled + buried + length at all times.
//
// Delivery is at least once. Whoever reads must make the effect idempotent by the vote's id, and settle only after the
// effect is durable.
//
// # Failure
//
// A consumer that restarts under its old name gets its own pending entries first, then claims what dead consumers left,
// and only then reads new ones. A lost answer counts as a failure of the read: whatever Redis delivered into it is
// found as pending by the next read. Entries are claimed when nobody has touched them for ClaimIdle, whoever holds
// them; a slow but living holder may then do the same work twice, which the idempotent effect makes harmless.
//
// [Delivery.Deliveries] counts how often an entry was handed out. One that kills its worker each time is among those
// handed out often, and so are the innocent ones that were in hand with it. The worker tries such suspects alone, noting
// each try with [Queue.CountRetry] before it makes it, and gives up on the one whose tries pass a limit.
//
// Only commands of Redis 7.0 and older are used, so Valkey serves as well.
package votestream
