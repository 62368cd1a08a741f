// The results page: shows the pushed votes, the state of the connection and the age of the numbers.

import { currentAge, inWords, setAge } from './age.js';
import { readPage, showVotes, summary } from './board.js';
import { setSiblingLinks } from './links.js';
import { Stream } from './stream.js';
import { pollTally } from './tally.js';

const ANNOUNCE_MS = 10_000;
const CONNECTION_WORDS = { connecting: 'Connecting…', live: 'Live', offline: 'Connection lost, trying again' };

const connection = document.getElementById('connection');
const ageElement = document.getElementById('age');
const banner = document.getElementById('banner');
const summaryElement = document.getElementById('summary');

let state;
let stale = false;
let failedPolls = 0;

setSiblingLinks();
readPage();
if (ageElement.dataset.ageMs) {
  setAge(Number(ageElement.dataset.ageMs));
  stale = !banner.hidden;
}

const stream = new Stream('/events', {
  votes(votes, first) {
    const changed = showVotes(votes);
    // A greeting may repeat an old tally; a change can only have been read just now.
    if (changed && !first) {
      setAge(0);
      stale = false;
      showAge();
    } else if (currentAge() === undefined) {
      askNow();
    }
  },
  state(next) {
    state = next;
    connection.dataset.state = next;
    connection.textContent = CONNECTION_WORDS[next];
    showAge();
  },
});

const askNow = pollTally({
  answer(tally) {
    failedPolls = 0;
    stale = tally.stale;
    if (Number.isFinite(tally.ageMs)) setAge(tally.ageMs);
    if (state !== 'live') showVotes(tally.votes); // the push is newer wherever it works
    showAge();
  },
  failed({ reached }) {
    if (reached) {
      failedPolls = 0;
      stale = true;
    } else {
      // A connection can be dead without either side having noticed; twice no answer beside it says so.
      failedPolls += 1;
      if (failedPolls === 2 && state === 'live') stream.reopen();
    }
    showAge();
  },
});

setInterval(showAge, 1_000);
setInterval(announce, ANNOUNCE_MS);

function showAge() {
  const age = currentAge();
  setText(ageElement, inWords(age));
  const trouble = whatIsWrong(age);
  banner.hidden = trouble === '';
  setText(banner, trouble);
}

function whatIsWrong(age) {
  if (age === undefined) return 'The results have not been read yet. They appear here as soon as they are.';
  if (failedPolls > 1) return `The results service can't be reached. The numbers are from ${inWords(age)}; the page keeps trying.`;
  if (stale) return `The votes can't be read at the moment. The numbers are from ${inWords(age)}; votes that were accepted are not lost.`;
  return '';
}

// For those who hear the page: now and then, and only what has changed.
function announce() {
  setText(summaryElement, [summary(), banner.hidden ? '' : 'These numbers are old.'].filter(Boolean).join(' '));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
