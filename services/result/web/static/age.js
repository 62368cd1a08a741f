// The age of the numbers. The visitor's clock may be wrong, so the age comes from the server and grows by the page's own
// monotonic clock.

import { now } from './fallbacks.js';

let age; // in ms, at time `since`; undefined until known
let since;

export function setAge(ms) {
  age = Math.max(0, ms);
  since = now();
}

// The current age in ms, or undefined.
export function currentAge() {
  return age === undefined ? undefined : age + now() - since;
}

// An age in its largest whole unit, as in pages.go.
export function inWords(ms) {
  if (ms === undefined) return 'not yet';
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 2) return 'just now';
  if (seconds < 120) return `${seconds} seconds ago`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} minutes ago`;
  return `${Math.floor(seconds / 3_600)} hours ago`;
}
