// The numbers on the page: counts, shares, bars and the total.

export const PETS = ['dogs', 'cats', 'lizards'];

const format = new Intl.NumberFormat('en');
let shown; // {dogs, cats, lizards}; undefined until they are known

export function grouped(n) {
  return format.format(n);
}

// A pet's part of all votes in per cent as people read it. All and nothing are said only of all and nothing.
export function share(votes, total) {
  const text = part(votes, total);
  if (text === '0.0' && votes > 0) return '<0.1';
  if (text === '100.0' && votes < total) return '>99.9';
  return text;
}

// What lies between two decimals is rounded up, as the server does.
function part(votes, total) {
  return (total === 0 ? 0 : Math.round((1_000 * votes) / total) / 10).toFixed(1);
}

// Shows votes ({dogs, cats, lizards}) and says whether they differ from what was shown. Votes are only ever added, so
// fewer than before are old news, from a connection that came back or another server that is behind, and are not shown;
// unless anew says that counting has begun anew. Anything but three counts is ignored.
export function showVotes(votes, { anew = false } = {}) {
  if (!PETS.every((pet) => Number.isSafeInteger(votes?.[pet]))) return false;
  if (shown && PETS.every((pet) => shown[pet] === votes[pet])) return false;
  if (shown && !anew && PETS.some((pet) => votes[pet] < shown[pet])) return false;

  shown = Object.fromEntries(PETS.map((pet) => [pet, votes[pet]]));
  const total = totalShown();
  for (const pet of PETS) {
    setNumber(document.querySelector(`[data-count="${pet}"]`), votes[pet]);
    document.querySelector(`[data-noun="${pet}"]`).textContent = votes[pet] === 1 ? 'vote' : 'votes';
    document.querySelector(`[data-share="${pet}"]`).textContent = share(votes[pet], total);
    document.querySelector(`[data-bar="${pet}"]`).setAttribute('width', part(votes[pet], total));
  }
  setNumber(document.getElementById('total'), total);
  return true;
}

// What is shown, or undefined while nothing is known.
export function votesShown() {
  return shown;
}

export function totalShown() {
  return shown && PETS.reduce((sum, pet) => sum + shown[pet], 0);
}

// Takes over the numbers the server has put into the page.
export function readPage() {
  const values = PETS.map((pet) => document.querySelector(`[data-count="${pet}"]`).dataset.value);
  if (values.every((value) => value !== '')) shown = Object.fromEntries(PETS.map((pet, i) => [pet, Number(values[i])]));
}

function setNumber(element, value) {
  element.dataset.value = String(value);
  element.textContent = grouped(value);
}
