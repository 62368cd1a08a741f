// Sends votes, and those that were not taken again until they are. Every attempt of a vote carries the same key, so
// whatever goes wrong in between, it is counted once.

import { backoff } from './backoff.js';
import { allKept, forget, keep, kept, onKeptElsewhere } from './kept.js';
import { send, TIMEOUT_MS } from './send.js';

// A vote belongs to the tab in which it was cast until its first attempt must be over; then any tab may send it.
const FIRST_ATTEMPT_MS = TIMEOUT_MS + 1_000;
// A due time further off than this comes from a clock that was set back.
const FURTHEST_DUE_MS = 10 * 60_000;
const NAME = 'petvote.courier'; // of the lock and of the channel between the tabs

export class Courier {
  #report;
  #changed;
  #timer;
  #busy = false;
  #cast = new Set(); // the keys of the votes cast in this tab
  #tabs = new BroadcastChannel(NAME);

  // report(vote, outcome) is called after every attempt of this tab, and when another tab's attempt has settled a vote;
  // changed() whenever what waits may have changed.
  constructor({ report, changed }) {
    this.#report = report;
    this.#changed = changed;
  }

  // Takes up the votes that an earlier page, or another tab, has left.
  start() {
    onKeptElsewhere(() => this.#update());
    this.#tabs.addEventListener('message', ({ data: { vote, outcome } }) => {
      if (vote.failures > 0 || this.#cast.has(vote.key)) this.#report(vote, outcome);
      this.#update();
    });
    addEventListener('online', () => this.sendWaiting());
    this.#update();
  }

  // Whether votes that waited are being sent by this tab.
  get busy() {
    return this.#busy;
  }

  // Casts a new vote and returns it, with its first attempt under way.
  cast(pet) {
    const now = Date.now();
    const vote = { key: newKey(now), pet, at: now, due: now + FIRST_ATTEMPT_MS, failures: 0 };
    keep(vote);
    this.#cast.add(vote.key);
    this.#attempt(vote).then(({ kind }) => {
      if (kind === 'accepted' && this.waiting().length > 0) this.sendWaiting();
    });
    return vote;
  }

  // The votes that are not on their first attempt.
  waiting() {
    return allKept().filter((vote) => vote.failures > 0 || isDue(vote));
  }

  // When the next of them is sent, in ms since 1970.
  nextDue() {
    return Math.min(...this.waiting().map((vote) => vote.due));
  }

  // Sends what waits without regard to its time.
  sendWaiting() {
    return this.#sendAll(() => this.waiting());
  }

  // One pass over the votes, one after the other; the first that is not taken ends it. Only one tab is at it at a time;
  // where the browser has no locks, two tabs may send the same vote, which its key makes harmless.
  async #sendAll(choose) {
    if (this.#busy) return;
    this.#busy = true;
    this.#changed();
    try {
      await alone(async () => {
        const settled = await settledLately();
        for (const { key } of choose()) {
          const vote = kept(key); // another tab may have dealt with it by now
          if (!vote || settled.has(key)) continue;
          const outcome = await this.#attempt(vote);
          if (outcome.kind !== 'later') {
            await sayIsSettled(key);
          } else {
            this.#postponeAll(kept(key)?.due, settled);
            break;
          }
        }
      });
    } finally {
      this.#busy = false;
      this.#update(500);
    }
  }

  async #attempt(vote) {
    const outcome = await send(vote);
    if (outcome.kind !== 'later') {
      forget(vote.key);
      this.#tabs.postMessage({ vote, outcome });
    } else if (kept(vote.key)) {
      const failures = vote.failures + 1;
      const asked = outcome.retryAfterMs;
      const wait = asked === undefined ? backoff(failures) : asked + Math.random() * Math.max(asked, 1_000) / 2;
      keep({ ...vote, failures, due: Date.now() + wait });
    }
    // A vote that is not kept any more was settled by another tab meanwhile, which has told so.
    if (outcome.kind !== 'later' || kept(vote.key)) this.#report(vote, outcome);
    this.#update();
    return outcome;
  }

  // What one vote was told holds for the others that wait.
  #postponeAll(due, settled) {
    if (due === undefined) return;
    for (const vote of this.waiting()) {
      if (vote.due < due && !settled.has(vote.key)) keep({ ...vote, due });
    }
  }

  #update(atLeastMs = 0) {
    clearTimeout(this.#timer);
    const votes = allKept();
    if (votes.length > 0) {
      const wait = Math.min(...votes.map((vote) => vote.due)) - Date.now();
      const ms = Math.min(Math.max(wait, atLeastMs), FURTHEST_DUE_MS);
      this.#timer = setTimeout(() => this.#sendAll(() => allKept().filter(isDue)), ms);
    }
    this.#changed();
  }
}

function isDue(vote) {
  const wait = vote.due - Date.now();
  return wait <= 0 || wait > FURTHEST_DUE_MS;
}

// Runs the task while no other tab runs one, or not at all.
async function alone(task) {
  if (!navigator.locks) return task();
  return navigator.locks.request(NAME, { ifAvailable: true }, (lock) => (lock ? task() : undefined));
}

// A tab may still see in localStorage what another has removed, even after it was given the other's lock. So what a pass has
// settled is told by locks as well, for as long as that can take.
const SETTLED = `${NAME}.settled.`;
const SETTLED_MS = 10_000;

// Resolves once the other tabs can know it.
function sayIsSettled(key) {
  return new Promise((told, failed) => {
    if (!navigator.locks) return told();
    navigator.locks.request(SETTLED + key, { ifAvailable: true }, (lock) => {
      told();
      return lock && new Promise((over) => { setTimeout(over, SETTLED_MS); });
    }).catch(failed);
  });
}

// The keys of the votes that a pass of whichever tab has settled within that time.
async function settledLately() {
  const { held = [] } = await navigator.locks?.query() ?? {};
  return new Set(held.filter(({ name }) => name.startsWith(SETTLED)).map(({ name }) => name.slice(SETTLED.length)));
}

// A UUID of version 7 (RFC 9562): the time in ms, then chance. Keys in the order of time keep the database's index small.
function newKey(ms) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(ms / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
