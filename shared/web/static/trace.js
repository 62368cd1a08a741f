// The page's own spans, so that a trace reaches from the press of a button to the screen. data-trace-share is the share of
// traces that the server records; if it is empty, nothing is reported.

import { now, randomBytes } from './fallbacks.js';

const share = Number.parseFloat(document.body.dataset.traceShare ?? '');

// Starts a trace and returns {header, end(error)}: the traceparent for a request within it, and the function that reports
// the span. Returns undefined if the server records no traces.
export function startTrace(name) {
  if (!(share >= 0)) return undefined;
  const traceId = randomHex(16);
  const recorded = isSampled(traceId);
  const spanId = randomHex(8);
  const startedAt = now();
  return {
    header: `00-${traceId}-${spanId}-0${recorded ? 1 : 0}`,
    end: (error = '') => {
      if (recorded) report({ name, trace_id: traceId, span_id: spanId, error }, startedAt, now());
    },
  };
}

// Reports a child of the span in a traceparent. Times are those of now().
export function reportChild(name, traceparent, startedAt, endedAt) {
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(traceparent);
  if (parts && share >= 0) report({ name, trace_id: parts[1], parent_id: parts[2] }, startedAt, endedAt);
}

function report(span, startedAt, endedAt) {
  const body = JSON.stringify({ ...span, duration_ms: endedAt - startedAt, ended_ms_ago: now() - endedAt });
  fetch('spans', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body, keepalive: true })
    .catch(() => {}); // the trace lacks this span; the person loses nothing
}

// Samples as the services do (TraceIDRatioBased in OpenTelemetry's Go SDK): by the upper 63 of the trace id's last 64 bits.
function isSampled(traceId) {
  return Number(BigInt(`0x${traceId.slice(16)}`) >> 1n) < share * 2 ** 63;
}

function randomHex(length) {
  return Array.from(randomBytes(length), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
