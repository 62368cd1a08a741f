// Follows a vote by polling its receipt: often at first, when each answer brings news, then less and less, and not while
// the page is hidden.

import { timeout } from './fallbacks.js';

const FIRST_MS = 60;
const MOST_MS = 3_000;
const TIMEOUT_MS = 4_000;

// Calls onReceipt(receipt) after each answer until that returns false, and onError() after each attempt without an answer.
// It ends early once isOver() returns true.
export async function follow(address, { onReceipt, onError, isOver = () => false }) {
  for (let wait = FIRST_MS; !isOver(); wait = Math.min(wait * 1.5, MOST_MS)) {
    let least = 0;
    try {
      const { receipt, retryAfterMs } = await fetchReceipt(address);
      if (isOver() || (receipt && !onReceipt(receipt))) return;
      least = retryAfterMs;
    } catch {
      if (isOver()) return;
      onError();
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(wait * (0.8 + 0.4 * Math.random()), least)));
    if (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}

async function fetchReceipt(address) {
  const response = await fetch(address, {
    headers: { Accept: 'application/json' },
    cache: 'no-store',
    signal: timeout(TIMEOUT_MS),
  });
  if (response.status === 429) return { retryAfterMs: 1_000 * Number(response.headers.get('Retry-After')) || 0 }; // a proxy may send a date
  const receipt = await response.json();
  if (!receipt.state) throw new Error(`status ${response.status}`);
  return { receipt, retryAfterMs: 0 }; // with any status: a 404 says "unknown", a 503 may say "queued_or_unknown"
}
