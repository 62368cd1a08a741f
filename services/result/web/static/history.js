// The last hour: polls it and shows it as a chart, as a table, and one minute of it in words.

import { grouped, PETS } from './counts.js';
import { Chart } from './chart.js';
import { timeout } from './fallbacks.js';
import { poll } from './poll.js';

const EVERY_MS = 8_000;
const TIMEOUT_MS = 6_000;

const section = document.getElementById('history');
const readout = document.getElementById('readout');
const slider = document.getElementById('minute');
const table = document.getElementById('as-table');

let minutes = []; // {minute, dogs, cats, lizards}, the oldest first; the last one is still running
let chart;

// Returns a function that polls at once.
export function showHistory() {
  slider.addEventListener('input', () => pick(Number(slider.value)));
  table.addEventListener('toggle', fillTable);
  return poll(EVERY_MS, refresh);
}

async function refresh() {
  let answer;
  try {
    const response = await fetch('api/history?minutes=60', { cache: 'no-store', signal: timeout(TIMEOUT_MS) });
    if (!response.ok) return;
    answer = (await response.json()).minutes;
  } catch {
    return; // keep what is shown; the banner says when the service or the votes can't be reached
  }
  const picked = Number(slider.value) < minutes.length - 1 ? minutes[Number(slider.value)].minute : undefined; // undefined: the running one
  minutes = answer;
  section.hidden = false;
  chart ??= new Chart(document.getElementById('chart'), { pets: PETS, pick });
  slider.max = String(minutes.length - 1);
  chart.show(minutes);
  const still = minutes.findIndex(({ minute }) => minute === picked); // stay on the chosen minute as the hour moves on
  pick(still >= 0 ? still : minutes.length - 1);
  fillTable();
}

// Shows one minute in words.
function pick(index) {
  const minute = minutes[index];
  if (!minute) return;
  slider.value = String(index);
  chart.point(index);
  const running = index === minutes.length - 1 ? ' so far' : '';
  const words = `${clock(minute.minute)}${running}: ${PETS.map((pet) => `${pet} ${grouped(minute[pet])}`).join(', ')}`;
  readout.textContent = words;
  slider.setAttribute('aria-valuetext', words);
}

function fillTable() {
  if (!table.open) return;
  const rows = minutes.toReversed().map((minute) => {
    const row = document.createElement('tr');
    const head = document.createElement('th');
    head.scope = 'row';
    head.textContent = clock(minute.minute);
    row.append(head, ...PETS.map((pet) => {
      const cell = document.createElement('td');
      cell.textContent = grouped(minute[pet]);
      return cell;
    }));
    return row;
  });
  table.querySelector('tbody').replaceChildren(...rows);
}

export function clock(time) {
  return new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
