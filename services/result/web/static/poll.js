// Runs task every everyMs while the page is visible, and at once when it becomes visible. The interval is lengthened by up
// to a half at random, so that viewers don't poll in step. Only one task runs at a time, so that no older answer arrives
// after a newer one. Returns a function that runs it at once.
export function poll(everyMs, task) {
  let timer;
  let isPolling = false;
  let runAgain = false;
  const run = async () => {
    if (isPolling) {
      runAgain = true;
      return;
    }
    clearTimeout(timer);
    isPolling = true;
    await task();
    isPolling = false;
    const wait = runAgain ? 0 : everyMs * (1 + Math.random() / 2);
    runAgain = false;
    if (!document.hidden) timer = setTimeout(run, wait);
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) run();
  });
  run();
  return run;
}
