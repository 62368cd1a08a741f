// One attempt to hand one vote to the server, and the first span of its trace.

import { beginTrace } from './trace.js';

export const TIMEOUT_MS = 5_000;

// Resolves, and never rejects, to one of
//   {kind: 'accepted', id, traceId}      the server has it
//   {kind: 'refused', why}               it won't ever take it; sending it again is pointless
//   {kind: 'later', why, retryAfterMs}   it may or may not have it; sending it again with the same key is right
//                                        (retryAfterMs is undefined unless the server named a time; reached is false if
//                                        there was no answer at all)
export async function send(vote) {
  const trace = beginTrace('cast vote');
  const outcome = await attempt(vote, trace ? { traceparent: trace.header } : {});
  if (outcome.reached !== false) trace?.end(outcome.kind === 'accepted' ? '' : outcome.why);
  return outcome;
}

async function attempt({ key, pet }, traceHeaders) {
  let response, answer;
  try {
    response = await fetch('/vote', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...traceHeaders },
      body: JSON.stringify({ pet }),
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    answer = await response.json().catch(() => ({})); // not JSON: not from our server, or not whole
  } catch (error) {
    const why = error.name === 'TimeoutError' ? 'there was no answer in time' : 'the server could not be reached';
    return { kind: 'later', why, reached: false }; // so that it can't be told of the span either
  }

  if (response.ok && answer?.status === 'success') {
    return { kind: 'accepted', id: answer.id, traceId: answer.trace_id };
  }
  if (isFinal(response.status)) {
    return { kind: 'refused', why: String(answer?.message ?? `the server answered ${response.status}`) };
  }
  return { kind: 'later', why: 'the server could not take it just now', retryAfterMs: retryAfter(response) };
}

// A client error is final, except for those that say "not now".
function isFinal(status) {
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

function retryAfter(response) {
  const seconds = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  return seconds >= 0 ? Math.min(seconds, 120) * 1_000 : undefined;
}
