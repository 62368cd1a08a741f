// Asks /api/tally every few seconds for what the push doesn't say: how old the numbers are, and whether they are stale.

import { poll } from './poll.js';

const EVERY_MS = 3_000;
const TIMEOUT_MS = 4_000;

// Calls answer({votes, stale, ageMs}, asked) after each answer, where asked is what asking() returned when the question was
// put, and failed({reached}) after each attempt without one; reached says that the service answered, only not with a tally.
// Returns a function that asks at once.
export function pollTally({ asking, answer, failed }) {
  return poll(EVERY_MS, async () => {
    const asked = asking();
    try {
      answer(await ask(), asked);
    } catch (error) {
      failed({ reached: error instanceof NoTally });
    }
  });
}

class NoTally extends Error {}

async function ask() {
  const response = await fetch('/api/tally', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new NoTally(`status ${response.status}`);
  const { votes, stale, as_of: asOf } = await response.json();
  // Both times are the server's. The Date header has whole seconds only, which is enough for words.
  const ageMs = Date.parse(response.headers.get('Date') ?? '') - Date.parse(asOf);
  return { votes, stale: stale === true, ageMs };
}
