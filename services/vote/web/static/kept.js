// The votes this browser owes the server: kept before they are first sent, forgotten once they are accepted or refused,
// so that neither a lost answer nor a closed tab loses one. Each is an item of its own in localStorage: tabs share that,
// and with one item for each vote none overwrites what another has just written. Where the browser refuses localStorage,
// votes live as long as the page.
//
// A vote is {key, pet, at, due, failures}: its idempotency key, the choice, when it was cast and when it is to be sent
// next (both in ms since 1970), and how often sending it has failed.

const PREFIX = 'petvote.kept.';
const PETS = ['dogs', 'cats', 'lizards'];
const memory = new Map();

export function keep(vote) {
  try {
    localStorage.setItem(PREFIX + vote.key, JSON.stringify(vote));
  } catch {
    memory.set(vote.key, vote);
  }
}

export function forget(key) {
  memory.delete(key);
  try {
    localStorage.removeItem(PREFIX + key);
  } catch { /* it was never there */ }
}

// Whether what is kept outlives this page.
export function isDurable() {
  return memory.size === 0;
}

// The vote with this key as it is kept now, or undefined.
export function kept(key) {
  return memory.get(key) ?? read(key);
}

// All of them, the oldest first.
export function allKept() {
  const votes = [...memory.values()];
  try {
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(PREFIX)) votes.push(read(name.slice(PREFIX.length)));
    }
  } catch { /* only the memory, then */ }
  return votes.filter(Boolean).sort((a, b) => a.at - b.at);
}

// Calls back when another tab has changed what is kept.
export function onKeptElsewhere(callback) {
  addEventListener('storage', (event) => {
    if (event.key === null || event.key.startsWith(PREFIX)) callback();
  });
}

// What isn't a vote of ours (edited by hand, or of another release) counts as not there.
function read(key) {
  try {
    const vote = JSON.parse(localStorage.getItem(PREFIX + key));
    const whole = vote?.key === key && PETS.includes(vote.pet) && [vote.at, vote.due, vote.failures].every(Number.isFinite);
    return whole ? vote : undefined;
  } catch {
    return undefined;
  }
}
