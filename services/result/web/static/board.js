// The numbers on the page: counts, shares, bars and the total.

export const PETS = ['dogs', 'cats', 'lizards'];

const grouped = new Intl.NumberFormat('en');
const shown = new Map(); // pet → votes; empty until they are known

// Shows votes ({dogs, cats, lizards}) and tells whether they differ from what was shown. Anything but three counts is ignored.
export function showVotes(votes) {
  if (!PETS.every((pet) => Number.isSafeInteger(votes?.[pet]))) return false;
  if (PETS.every((pet) => shown.get(pet) === votes[pet])) return false;

  const total = PETS.reduce((sum, pet) => sum + votes[pet], 0);
  for (const pet of PETS) {
    shown.set(pet, votes[pet]);
    const share = (total === 0 ? 0 : (100 * votes[pet]) / total).toFixed(1);
    setNumber(document.querySelector(`[data-count="${pet}"]`), votes[pet]);
    document.querySelector(`[data-noun="${pet}"]`).textContent = votes[pet] === 1 ? 'vote' : 'votes';
    document.querySelector(`[data-share="${pet}"]`).textContent = share;
    document.querySelector(`[data-bar="${pet}"]`).setAttribute('width', share);
  }
  setNumber(document.getElementById('total'), total);
  return true;
}

// One sentence with what is shown, or nothing while nothing is known.
export function summary() {
  if (shown.size === 0) return '';
  return `Votes: ${PETS.map((pet) => `${pet} ${grouped.format(shown.get(pet))}`).join('; ')}.`;
}

// Takes over the numbers the server has put into the page.
export function readPage() {
  for (const pet of PETS) {
    const value = document.querySelector(`[data-count="${pet}"]`).dataset.value;
    if (value !== '') shown.set(pet, Number(value));
  }
}

function setNumber(element, value) {
  element.dataset.value = String(value);
  element.textContent = grouped.format(value);
}
