// Asks /api/tally every few seconds for what the push doesn't say: how old the numbers are, and whether they are stale.

const EVERY_MS = 3_000; // and up to half as long again, so that viewers don't ask in step
const TIMEOUT_MS = 4_000;

// Calls answer({votes, stale, ageMs}) after each answer and failed({reached}) after each attempt without one, for as long
// as the page is visible; reached says that the service answered, only not with a tally. Returns a function that asks at once.
export function pollTally({ answer, failed }) {
  let timer;
  const turn = async () => {
    try {
      answer(await ask());
    } catch (error) {
      failed({ reached: error instanceof NoTally });
    }
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(turn, EVERY_MS * (1 + Math.random() / 2));
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) turn();
  });
  turn();
  return turn;
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
