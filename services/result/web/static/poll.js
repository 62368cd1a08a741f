// Runs ask every everyMs, and up to half as long again so that viewers don't ask in step, for as long as the page is
// visible, and at once when it becomes so. Returns a function that runs it out of turn.
export function poll(everyMs, ask) {
  let timer;
  const turn = async () => {
    await ask();
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(turn, everyMs * (1 + Math.random() / 2));
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) turn();
  });
  turn();
  return turn;
}
