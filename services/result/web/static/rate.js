// The current votes per second: the average of the last seconds, by this page's clock.

import { now } from './fallbacks.js';

const SPAN_MS = 5_000;
const LEAST_MS = 1_000; // over a shorter time one vote would look like a flood

export class Rate {
  #seen = []; // {at, total}, the oldest first; all but the first are younger than SPAN_MS

  // Records the total shown now.
  add(total, at = now()) {
    this.#seen.push({ at, total });
    while (this.#seen.length > 1 && this.#seen[1].at <= at - SPAN_MS) this.#seen.shift();
  }

  // Forgets everything, after a gap: the next gain belongs to no moment.
  restart() {
    this.#seen = [];
  }

  // Undefined until enough time has been seen.
  perSecond(at = now()) {
    if (this.#seen.length === 0 || at - this.#seen[0].at < LEAST_MS) return undefined;
    const first = this.#seen.findLast((seen) => seen.at <= at - SPAN_MS) ?? this.#seen[0];
    return (this.#seen.at(-1).total - first.total) / (Math.min(at - first.at, SPAN_MS) / 1_000);
  }
}
