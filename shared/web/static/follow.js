// Follows a vote by asking for its receipt: often at first, when each answer brings news, then ever more seldom, and not
// while nobody looks.

const FIRST_MS = 60;
const MOST_MS = 3_000;
const TIMEOUT_MS = 4_000;

// Calls answer(receipt) after each answer, for as long as it returns true, and trouble() after each attempt without one.
// It ends early when signal is aborted.
export async function follow(address, { answer, trouble }, signal) {
  for (let wait = FIRST_MS; !signal.aborted; wait = Math.min(wait * 1.5, MOST_MS)) {
    try {
      const receipt = await ask(address);
      if (signal.aborted || !answer(receipt)) return;
    } catch {
      if (signal.aborted) return;
      trouble();
    }
    await new Promise((resolve) => setTimeout(resolve, wait * (0.8 + 0.4 * Math.random())));
    if (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}

async function ask(address) {
  const response = await fetch(address, {
    headers: { Accept: 'application/json' },
    cache: 'no-store',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok && response.status !== 404) throw new Error(`status ${response.status}`);
  return response.json(); // 404 too has a receipt: one that knows nothing
}
