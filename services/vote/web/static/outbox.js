// The votes that this browser still has to deliver: saved before they are first sent, removed once they are accepted or
// refused, so that neither a lost answer nor a closed tab loses one. Each is an item of its own in localStorage, which all
// tabs share, so no tab overwrites what another has just written. Where the browser refuses localStorage, votes live as
// long as the page.
//
// A vote is {key, pet, at, due, failures}: its idempotency key, the choice, when it was cast, when it is to be sent next
// (both in ms since 1970), and how many attempts have failed.

const PREFIX = 'petvote.kept.'; // never rename it: votes saved by earlier releases are found under it
const PETS = ['dogs', 'cats', 'lizards'];
const memory = new Map();

export function save(vote) {
  try {
    localStorage.setItem(PREFIX + vote.key, JSON.stringify(vote));
  } catch {
    memory.set(vote.key, vote);
  }
}

export function remove(key) {
  memory.delete(key);
  try {
    localStorage.removeItem(PREFIX + key);
  } catch { /* it was never there */ }
}

// Whether the saved votes outlive this page.
export function isDurable() {
  return memory.size === 0;
}

// The vote with this key as it is saved now, or undefined.
export function load(key) {
  return memory.get(key) ?? read(key);
}

// All votes, the oldest first.
export function loadAll() {
  const votes = [...memory.values()];
  try {
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(PREFIX)) votes.push(read(name.slice(PREFIX.length)));
    }
  } catch { /* only those in memory, then */ }
  return votes.filter(Boolean).sort((a, b) => a.at - b.at);
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
