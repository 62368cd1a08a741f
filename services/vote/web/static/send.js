// One attempt to deliver one vote, and the first span of its trace.

import { attempt, timeout } from './fallbacks.js';
import { startTrace } from './trace.js';

export const TIMEOUT_MS = 5_000;

// Never rejects. Resolves to one of
//   {kind: 'accepted', id, traceId, entry}  the server has the vote
//   {kind: 'refused', why}                  the vote service will never accept it: don't send it again
//   {kind: 'later', why, retryAfterMs}      the server may or may not have it: send it again with the same key. retryAfterMs is
//                                           undefined unless the server named a time; reached is false if it didn't answer
export async function send(vote) {
  const trace = attempt(() => startTrace('cast vote'));
  const outcome = await post(vote, trace ? { traceparent: trace.header } : {});
  if (outcome.reached !== false) attempt(() => trace?.end(outcome.kind === 'accepted' ? '' : outcome.why));
  return outcome;
}

async function post({ key, pet }, traceHeaders) {
  let response, answer;
  try {
    response = await fetch('vote', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...traceHeaders },
      body: JSON.stringify({ pet }),
      cache: 'no-store',
      signal: timeout(TIMEOUT_MS),
    });
    answer = await response.json().catch(() => ({})); // not JSON: truncated, or not from our server
  } catch (error) {
    const why = error.name === 'TimeoutError' ? 'the server did not answer in time' : 'the server could not be reached';
    return { kind: 'later', why, reached: false }; // then the span can't be reported either
  }

  if (response.ok && answer?.status === 'success') {
    return { kind: 'accepted', id: answer.id, traceId: answer.trace_id, entry: answer.entry };
  }
  const isOurs = answer?.status === 'error';
  if (isOurs && FINAL.includes(response.status)) return { kind: 'refused', why: String(answer.message) };
  const why = (isOurs && NOT_NOW[response.status]) || 'the server could not accept it just now';
  return { kind: 'later', why, retryAfterMs: retryAfter(response) };
}

// Only these answers of the vote service itself are about the vote. Any other says something about the way to it: a proxy, a
// log-in page or a setting that has to be mended.
const FINAL = [400, 413, 415];
const NOT_NOW = {
  403: 'the server does not accept votes from this page’s address, which its operator has to allow',
  429: 'the server takes only so many votes at once from one address',
};

function retryAfter(response) {
  const seconds = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  return seconds >= 0 ? Math.min(seconds, 120) * 1_000 : undefined;
}
