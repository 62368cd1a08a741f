// Milliseconds to wait after `failures` failed attempts in a row (1 or more): doubles from one second up to `most`. Half
// of it is random, so that browsers that lost the server together don't all come back at once.
export function backoff(failures, most = 30_000) {
  const whole = Math.min(most, 1_000 * 2 ** Math.min(failures - 1, 20));
  return whole / 2 + Math.random() * (whole / 2);
}
