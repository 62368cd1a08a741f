package main

import "runtime"

// heapBallast, in bytes, raises the trigger of the garbage collector. A vote leaves some 13 KB of garbage and the live
// heap is small, so that under load GOGC=100 would collect nearly all the time.
const heapBallast = 16 << 20

// allocateBallast allocates memory that the collector counts as live. Nobody touches it, so it occupies no RAM; unlike
// a higher GOGC it adds no more than itself when the live heap grows. Calling release after use keeps it alive until
// then.
func allocateBallast() (release func()) {
	ballast := make([]byte, heapBallast)
	return func() { runtime.KeepAlive(ballast) }
}
