// The numbers on the page: counts, shares, bars and the total.

export const PETS = ['dogs', 'cats', 'lizards'];

const format = new Intl.NumberFormat('en');
let shown; // {dogs, cats, lizards}; undefined until they are known

export function grouped(n) {
  return format.format(n);
}

// A pet's share of all votes in per cent, as text. Only all votes are 100.0, and only none are 0.0.
export function share(votes, total) {
  const text = round(votes, total);
  if (text === '0.0' && votes > 0) return '<0.1';
  if (text === '100.0' && votes < total) return '>99.9';
  return text;
}

// A half is rounded up, as on the server.
function round(votes, total) {
  return (total === 0 ? 0 : Math.round((1_000 * votes) / total) / 10).toFixed(1);
}

// Shows votes ({dogs, cats, lizards}) and returns whether they differ from those shown before. Votes are only ever added,
// so lower counts are outdated, from a reconnected stream or another server that is behind, and are ignored, unless
// restarted says that counting has started again. Anything but three counts is ignored too. Above 2^53 they are rounded.
export function showVotes(votes, { restarted = false } = {}) {
  if (!PETS.every((pet) => Number.isInteger(votes?.[pet]))) return false;
  if (shown && PETS.every((pet) => shown[pet] === votes[pet])) return false;
  if (shown && !restarted && PETS.some((pet) => votes[pet] < shown[pet])) return false;

  shown = Object.fromEntries(PETS.map((pet) => [pet, votes[pet]]));
  const total = totalShown();
  for (const pet of PETS) {
    setNumber(document.querySelector(`[data-count="${pet}"]`), votes[pet]);
    document.querySelector(`[data-noun="${pet}"]`).textContent = votes[pet] === 1 ? 'vote' : 'votes';
    document.querySelector(`[data-share="${pet}"]`).textContent = share(votes[pet], total);
    document.querySelector(`[data-bar="${pet}"]`).setAttribute('width', round(votes[pet], total));
  }
  setNumber(document.getElementById('total'), total);
  return true;
}

// The votes shown, or undefined if none are known.
export function votesShown() {
  return shown;
}

export function totalShown() {
  return shown && PETS.reduce((sum, pet) => sum + shown[pet], 0);
}

// Takes over the numbers that the server has put into the page.
export function readPage() {
  const values = PETS.map((pet) => document.querySelector(`[data-count="${pet}"]`).dataset.value);
  if (values.every((value) => value !== '')) shown = Object.fromEntries(PETS.map((pet, i) => [pet, Number(values[i])]));
}

function setNumber(element, value) {
  element.dataset.value = String(value);
  element.textContent = grouped(value);
}
