// Sends votes, and sends them again until the server accepts or refuses them. Every attempt of a vote carries the same
// idempotency key, so the vote is counted once whatever goes wrong in between.

import { backoff } from './backoff.js';
import { attempt, randomBytes } from './fallbacks.js';
import { load, loadAll, onChangedElsewhere, OWN, remove, save } from './outbox.js';
import { send, TIMEOUT_MS } from './send.js';

// A vote belongs to the tab in which it was cast until its first attempt must be over; then any tab may send it.
const FIRST_ATTEMPT_MS = TIMEOUT_MS + 1_000;
// A due time further away was set before the clock was turned back.
const FURTHEST_DUE_MS = 10 * 60_000;
// Of the lock and of the channel between the tabs. Never rename it: tabs with the page of an earlier release use it too.
const NAME = `${OWN}.courier`;

export class Sender {
  #onOutcome;
  #onChange;
  #timer;
  #busy = false;
  #cast = new Set(); // the keys of the votes cast in this tab
  #tabs = attempt(() => new BroadcastChannel(NAME)); // undefined: the tabs resend each other's votes

  // Calls onOutcome(vote, outcome) after every attempt of this tab and when another tab has resolved a vote, and onChange()
  // whenever the waiting votes may have changed.
  constructor({ onOutcome, onChange }) {
    this.#onOutcome = onOutcome;
    this.#onChange = onChange;
  }

  // Takes over the votes left by an earlier page or another tab.
  start() {
    onChangedElsewhere(() => this.#update());
    this.#tabs?.addEventListener('message', ({ data: { vote, outcome } }) => {
      remove(vote.key);
      if (vote.failures > 0 || this.#cast.has(vote.key)) this.#onOutcome(vote, outcome);
      this.#update();
    });
    addEventListener('online', () => this.sendWaiting());
    this.#update();
  }

  // Whether this tab is sending waiting votes.
  get busy() {
    return this.#busy;
  }

  // Casts a new vote, starts its first attempt and returns it.
  cast(pet) {
    const now = Date.now();
    const vote = { key: newKey(now), pet, at: now, due: now + FIRST_ATTEMPT_MS, failures: 0 };
    save(vote);
    this.#cast.add(vote.key);
    this.#attempt(vote).then(({ kind }) => {
      if (kind === 'accepted' && this.waiting().length > 0) this.sendWaiting();
    });
    return vote;
  }

  // The votes whose first attempt is over.
  waiting() {
    return loadAll().filter((vote) => vote.failures > 0 || isDue(vote));
  }

  // When the next waiting vote is due, in ms since 1970.
  nextDue() {
    return Math.min(...this.waiting().map((vote) => vote.due));
  }

  // Sends the waiting votes now, due or not.
  sendWaiting() {
    return this.#sendAll(() => this.waiting());
  }

  // Sends the chosen votes one by one, up to the first failure. Only one tab does so at a time; in a browser without locks
  // two tabs may send the same vote, which its key makes harmless.
  async #sendAll(choose) {
    if (this.#busy) return;
    this.#busy = true;
    this.#onChange();
    try {
      await withLock(async () => {
        const resolved = await recentlyResolved();
        for (const { key } of choose()) {
          const vote = load(key); // another tab may have resolved it by now
          if (!vote || resolved.has(key)) continue;
          const outcome = await this.#attempt(vote);
          if (outcome.kind !== 'later') {
            await announceResolved(key);
          } else {
            this.#postponeAll(load(key)?.due, resolved);
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
      remove(vote.key);
      attempt(() => this.#tabs?.postMessage({ vote, outcome }));
    } else if (load(vote.key)) {
      const failures = vote.failures + 1;
      const requested = outcome.retryAfterMs;
      const wait = requested === undefined ? backoff(failures) : requested + Math.random() * Math.max(requested, 1_000) / 2;
      save({ ...vote, failures, due: Date.now() + wait });
    }
    // If the vote is gone from the outbox, another tab has resolved it meanwhile and announced the outcome.
    if (outcome.kind !== 'later' || load(vote.key)) this.#onOutcome(vote, outcome);
    this.#update();
    return outcome;
  }

  // If the server asked one vote to wait, the others wait too.
  #postponeAll(due, resolved) {
    if (due === undefined) return;
    for (const vote of this.waiting()) {
      if (vote.due < due && !resolved.has(vote.key)) save({ ...vote, due });
    }
  }

  #update(atLeastMs = 0) {
    clearTimeout(this.#timer);
    const votes = loadAll();
    if (votes.length > 0) {
      const wait = Math.min(...votes.map((vote) => vote.due)) - Date.now();
      const ms = Math.min(Math.max(wait, atLeastMs), FURTHEST_DUE_MS);
      this.#timer = setTimeout(() => this.#sendAll(() => loadAll().filter(isDue)), ms);
    }
    this.#onChange();
  }
}

function isDue(vote) {
  const wait = vote.due - Date.now();
  return wait <= 0 || wait > FURTHEST_DUE_MS;
}

// Runs the task unless another tab is running one.
async function withLock(task) {
  let asked = false;
  try {
    await navigator.locks.request(NAME, { ifAvailable: true }, (lock) => {
      asked = true;
      return lock ? task() : undefined;
    });
  } catch (error) {
    if (asked) throw error; // it is the task's
    await task();
  }
}

// A tab may still see an item in localStorage that another tab has removed, even after it got that tab's lock. So a tab
// announces a resolved vote by holding a lock named after it, until every tab must see the removal.
const RESOLVED = `${NAME}.settled.`; // never rename it, for the same reason as NAME
const RESOLVED_MS = 10_000;

// Resolves once the other tabs can see the announcement, or the browser refuses it.
function announceResolved(key) {
  return new Promise((announced) => {
    const hold = (lock) => {
      announced();
      return lock && new Promise((over) => { setTimeout(over, RESOLVED_MS); });
    };
    (async () => navigator.locks.request(RESOLVED + key, { ifAvailable: true }, hold))().catch(announced);
  });
}

// The keys of the votes that any tab has announced as resolved.
async function recentlyResolved() {
  const { held } = await (async () => navigator.locks.query())().catch(() => ({ held: [] }));
  return new Set(held.filter(({ name }) => name.startsWith(RESOLVED)).map(({ name }) => name.slice(RESOLVED.length)));
}

// A UUIDv7 (RFC 9562): the time in ms, then random bits. Keys in time order keep the database's index small.
function newKey(ms) {
  const bytes = randomBytes(16);
  for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(ms / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
