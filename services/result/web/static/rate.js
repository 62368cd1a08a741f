// Votes per second now: over the last seconds, by the clock of this page.

const SPAN_MS = 5_000;
const LEAST_MS = 1_000; // before that, one vote would look like a flood

export class Rate {
  #seen = []; // {at, total}, the oldest first; all but the first are younger than SPAN_MS

  // total was shown just now.
  add(total, at = performance.now()) {
    this.#seen.push({ at, total });
    while (this.#seen.length > 1 && this.#seen[1].at <= at - SPAN_MS) this.#seen.shift();
  }

  // What comes next is no gain of this moment: the page was cut off in between.
  restart() {
    this.#seen = [];
  }

  // Undefined until there is enough to tell.
  perSecond(at = performance.now()) {
    if (this.#seen.length === 0 || at - this.#seen[0].at < LEAST_MS) return undefined;
    const first = this.#seen.findLast((seen) => seen.at <= at - SPAN_MS) ?? this.#seen[0];
    return (this.#seen.at(-1).total - first.total) / (Math.min(at - first.at, SPAN_MS) / 1_000);
  }
}
