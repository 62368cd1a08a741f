// Milliseconds to wait before the next attempt after `failures` attempts in a row have failed (1 or more): doubling from
// one second up to `most`, of which the upper half is random, so that browsers that lost the server together don't come
// back together.
export function backoff(failures, most = 30_000) {
  const whole = Math.min(most, 1_000 * 2 ** Math.min(failures - 1, 20));
  return whole / 2 + Math.random() * (whole / 2);
}
