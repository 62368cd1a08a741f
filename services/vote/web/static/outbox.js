// The votes that this browser still has to deliver: saved before they are first sent, removed once they are accepted or
// refused, so that neither a lost answer nor a closed tab loses one. Each is an item of its own in localStorage, which all
// tabs share, so no tab overwrites what another has just written. The page that saves a vote holds it in memory too: there
// it lives as long as the page where the browser refuses localStorage, forgets it, or is told to clear it.
//
// A vote is {key, pet, at, due, failures}: its idempotency key, the choice, when it was cast, when it is to be sent next
// (both in ms since 1970), and how many attempts have failed.

import { attempt } from './fallbacks.js';

// Begins the names of what the tabs of this service share. Another one, with another election, may be at another path of
// the same origin: "petvote" stands for the path "/", and "petvote/pets" for "/pets/".
export const OWN = `petvote${new URL('../..', import.meta.url).pathname.slice(0, -1)}`;
const PREFIX = `${OWN}.kept.`; // never rename it: votes saved by earlier releases are found under it
const PETS = ['dogs', 'cats', 'lizards'];
const memory = new Map();
const removed = new Set(); // keys, in case the browser does not remove their items

export function save(vote) {
  memory.set(vote.key, vote);
  attempt(() => localStorage.setItem(PREFIX + vote.key, JSON.stringify(vote)));
}

export function remove(key) {
  memory.delete(key);
  removed.add(key);
  attempt(() => localStorage.removeItem(PREFIX + key));
}

// Whether the saved votes outlive this page.
export function isDurable() {
  return [...memory.keys()].every(read);
}

// The vote with this key as it is saved now, or undefined.
export function load(key) {
  return removed.has(key) ? undefined : read(key) ?? memory.get(key);
}

// All votes, the oldest first.
export function loadAll() {
  const names = attempt(() => Object.keys(localStorage)) ?? [];
  const keys = names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  return [...new Set([...keys, ...memory.keys()])].map(load).filter(Boolean).sort((a, b) => a.at - b.at);
}

// Calls back when another tab has changed the outbox.
export function onChangedElsewhere(callback) {
  addEventListener('storage', (event) => {
    if (event.key === null || event.key.startsWith(PREFIX)) callback();
  });
}

// Ignores items that are no valid vote (edited by hand, or written by another release).
function read(key) {
  try {
    const vote = JSON.parse(localStorage.getItem(PREFIX + key));
    const valid = vote?.key === key && PETS.includes(vote.pet) && [vote.at, vote.due, vote.failures].every(Number.isFinite);
    return valid ? vote : undefined;
  } catch {
    return undefined;
  }
}
