// What the pages do where a browser lacks or refuses an API: in private windows, with site data blocked, over plain HTTP.

// The result of a task, or undefined if the browser refuses it.
export function attempt(task) {
  try {
    return task();
  } catch {
    return undefined;
  }
}

// Milliseconds on a clock that nobody sets, if the browser has one.
export function now() {
  return attempt(() => performance.now()) ?? Date.now();
}

// A signal that aborts a request after ms with a TimeoutError; undefined if the browser can't abort requests.
export function timeout(ms) {
  return attempt(() => AbortSignal.timeout(ms)) ?? attempt(() => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('too late', 'TimeoutError')), ms);
    return controller.signal;
  });
}

export function randomBytes(length) {
  const bytes = new Uint8Array(length);
  return attempt(() => crypto.getRandomValues(bytes)) ?? bytes.map(() => Math.random() * 256);
}
