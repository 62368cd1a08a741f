// The results page: shows the pushed votes, the state of the connection and the age of the numbers.

import { currentAge, inWords, setAge } from './age.js';
import { readPage, showVotes, totalShown, votesShown } from './board.js';
import { showHistory } from './history.js';
import { leader } from './leader.js';
import { setSiblingLinks } from './links.js';
import { Rate } from './rate.js';
import { Stream } from './stream.js';
import { pollTally } from './tally.js';
import { startThemeSwitch } from './theme.js';
import { reportChild } from './trace.js';

const ANNOUNCE_MS = 20_000;
const CONNECTION_WORDS = { connecting: 'Connecting…', live: 'Live', offline: 'Lost, trying again' };

const connection = document.getElementById('connection');
const ageElement = document.getElementById('age');
const rateElement = document.getElementById('rate');
const leaderElement = document.getElementById('leader');
const banner = document.getElementById('banner');
const summaryElement = document.getElementById('summary');

let state;
let stale = false;
let failedPolls = 0;
let pushedAt = 0; // when the last push arrived
let totalBefore = 0; // what was shown when the tally was last asked for
const rate = new Rate();

startThemeSwitch();
setSiblingLinks();
readPage();
if (ageElement.dataset.ageMs) {
  setAge(Number(ageElement.dataset.ageMs));
  stale = !banner.hidden;
}

const stream = new Stream('/events', {
  votes(votes, first) {
    pushedAt = performance.now();
    const changed = show(votes);
    if (first) rate.restart();
    if (votesShown()) rate.add(totalShown());
    // A greeting may repeat an old tally; a change can only have been read just now.
    if (changed && !first) {
      setAge(0);
      stale = false;
      showState();
    } else if (currentAge() === undefined) {
      askNow();
    }
  },
  traces(parents) {
    const startedAt = pushedAt;
    // The callback of the frame after next runs when the one with the push has been drawn.
    requestAnimationFrame(() => requestAnimationFrame((drawnAt) => {
      for (const parent of parents) reportChild('render results', parent, startedAt, Math.max(startedAt, drawnAt));
    }));
  },
  state(next) {
    state = next;
    connection.dataset.state = next;
    connection.textContent = CONNECTION_WORDS[next];
    showState();
  },
});

const askNow = pollTally({
  answer(tally) {
    failedPolls = 0;
    stale = tally.stale;
    if (Number.isFinite(tally.ageMs)) setAge(tally.ageMs);
    // Fewer votes than were shown one question ago, and freshly read: no server is that far behind; the count was begun anew.
    const { dogs, cats, lizards } = tally.votes;
    const anew = !stale && dogs + cats + lizards < totalBefore;
    if (anew) rate.restart();
    if (anew || state !== 'live') show(tally.votes, { anew }); // the push is newer wherever it works
    totalBefore = totalShown() ?? 0;
    showState();
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
    showState();
  },
});

showHistory();
setInterval(showState, 1_000);
setInterval(announce, ANNOUNCE_MS);

// Shows votes and who leads, and says whether they are news.
function show(votes, options) {
  if (!showVotes(votes, options)) return false;
  const { sentence, title } = leader(votesShown());
  setText(leaderElement, sentence);
  const full = `${title} · petvote`;
  if (document.title !== full) document.title = full;
  return true;
}

function showState() {
  const age = currentAge();
  setText(ageElement, inWords(age));
  const trouble = whatIsWrong(age);
  banner.hidden = trouble === '';
  setText(banner, trouble);
  const perSecond = trouble === '' && state === 'live' ? rate.perSecond() : undefined;
  setText(rateElement, perSecond === undefined ? '–' : perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 }));
}

function whatIsWrong(age) {
  if (age === undefined) return 'The results have not been read yet. They appear here as soon as they are.';
  if (failedPolls > 1) return `The results service can't be reached. The numbers are from ${inWords(age)}; the page keeps trying.`;
  if (stale) return `The votes can't be read at the moment. The numbers are from ${inWords(age)}; votes that were accepted are not lost.`;
  return '';
}

// For those who hear the page: now and then, and only what has changed.
function announce() {
  setText(summaryElement, [votesShown() && leaderElement.textContent, banner.hidden ? '' : 'These numbers are old.'].filter(Boolean).join(' '));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
