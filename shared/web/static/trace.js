// The spans that this page adds to traces, so that they reach from the press of a button to the screen. The server says
// in data-trace-share which part of all traces is recorded; where it says nothing, there is nothing to report to.

const share = Number.parseFloat(document.body.dataset.traceShare ?? '');

// Begins a trace: {header, end(error)}, where header is the traceparent for a request made within it, and end reports
// the span; undefined where pages begin none.
export function beginTrace(name) {
  if (!(share >= 0)) return undefined;
  const traceId = randomHex(16);
  const recorded = isSampled(traceId);
  const spanId = randomHex(8);
  const startedAt = performance.now();
  return {
    header: `00-${traceId}-${spanId}-0${recorded ? 1 : 0}`,
    end: (error = '') => {
      if (recorded) report({ name, trace_id: traceId, span_id: spanId, error }, startedAt, performance.now());
    },
  };
}

// Reports a span beneath the one that a traceparent names. Times are performance.now()'s.
export function reportChild(name, traceparent, startedAt, endedAt) {
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(traceparent);
  if (parts && share >= 0) report({ name, trace_id: parts[1], parent_id: parts[2] }, startedAt, endedAt);
}

function report(span, startedAt, endedAt) {
  const body = JSON.stringify({ ...span, duration_ms: endedAt - startedAt, ended_ms_ago: performance.now() - endedAt });
  fetch('/spans', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body, keepalive: true })
    .catch(() => {}); // a trace without its page is no loss to the person
}

// As the services decide that sample by the trace's id (TraceIDRatioBased in OpenTelemetry's Go SDK): by the upper 63 of
// its last 64 bits.
function isSampled(traceId) {
  return Number(BigInt(`0x${traceId.slice(16)}`) >> 1n) < share * 2 ** 63;
}

function randomHex(length) {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
