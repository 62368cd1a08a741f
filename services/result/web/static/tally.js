// Polls /api/tally for what the push lacks: the age of the numbers, and whether they are stale.

import { timeout } from './fallbacks.js';
import { poll } from './poll.js';

const EVERY_MS = 3_000;
const TIMEOUT_MS = 4_000;

// Calls onTally({votes, stale, ageMs}, before) after each answer, where before is what snapshot() returned when the request
// was sent, and onError({reached}) after each failed attempt, where reached says whether the service answered at all.
// Returns a function that polls at once.
export function pollTally({ snapshot, onTally, onError }) {
  return poll(EVERY_MS, async () => {
    const before = snapshot();
    try {
      onTally(await fetchTally(), before);
    } catch (error) {
      onError({ reached: error instanceof NoTally });
    }
  });
}

class NoTally extends Error {}

async function fetchTally() {
  const response = await fetch('api/tally', { cache: 'no-store', signal: timeout(TIMEOUT_MS) });
  if (!response.ok) throw new NoTally(`status ${response.status}`);
  const { votes, stale, as_of: asOf } = await response.json();
  // Both times are the server's. The Date header has whole seconds only, which is enough here.
  const ageMs = Date.parse(response.headers.get('Date') ?? '') - Date.parse(asOf);
  return { votes, stale: stale === true, ageMs };
}
