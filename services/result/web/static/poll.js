// Runs ask every everyMs, and up to half as long again so that viewers don't ask in step, for as long as the page is
// visible, and at once when it becomes so. Only one runs at a time, so that no older answer comes after a newer one. Returns
// a function that runs it out of turn.
export function poll(everyMs, ask) {
  let timer;
  let asking = false;
  let again = false;
  const turn = async () => {
    if (asking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    asking = true;
    await ask();
    asking = false;
    const wait = again ? 0 : everyMs * (1 + Math.random() / 2);
    again = false;
    if (!document.hidden) timer = setTimeout(turn, wait);
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) turn();
  });
  turn();
  return turn;
}
