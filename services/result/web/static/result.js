// The results page: shows the pushed votes, the state of the connection and the age of the numbers.

import { currentAge, inWords, setAge } from './age.js';
import { PETS, readPage, showVotes, totalShown, votesShown } from './board.js';
import { showHistory } from './history.js';
import { leader } from './leader.js';
import { setSiblingLinks } from './links.js';
import { Rate } from './rate.js';
import { Stream } from './stream.js';
import { pollTally } from './tally.js';
import { startThemeSwitch } from './theme.js';
import { reportChild } from './trace.js';

const ANNOUNCE_MS = 10_000;
const TOO_LATE_MS = 2_000;
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
let behind = 0; // how many answers in a row have had fewer votes than were shown when they were asked for
const rate = new Rate();
let announced = document.title;

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
    if (document.hidden) return; // nothing is drawn
    const startedAt = pushedAt;
    // The callback of the frame after next runs when the one with the push has been drawn.
    requestAnimationFrame(() => requestAnimationFrame((drawnAt) => {
      if (drawnAt - startedAt > TOO_LATE_MS) return; // the page went out of sight meanwhile
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
  asking: votesShown,
  answer(tally, before) {
    failedPolls = 0;
    stale = tally.stale;
    if (Number.isFinite(tally.ageMs)) setAge(tally.ageMs);
    // A server can be a few seconds behind. One that still has fewer votes than were shown a question ago has begun anew.
    const fewer = !stale && before && PETS.some((pet) => tally.votes[pet] < before[pet]);
    behind = fewer ? behind + 1 : 0;
    const anew = behind >= 2;
    if (anew || state !== 'live') show(tally.votes, { anew }); // the push is newer wherever it works
    if (anew) {
      behind = 0;
      rate.restart();
      rate.add(totalShown());
    }
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

// For those who hear the page: who leads, when that has changed, and when something is wrong or right again.
function announce() {
  const now = banner.hidden ? document.title : banner.textContent.split('.')[0];
  if (now === announced) return;
  announced = now;
  setText(summaryElement, banner.hidden ? leaderElement.textContent : `${now}.`);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
