// The results page: shows the pushed votes, the state of the connection and the age of the numbers.

import { currentAge, inWords, setAge } from './age.js';
import { PETS, readPage, showVotes, totalShown, votesShown } from './counts.js';
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
const CONNECTION_WORDS = { connecting: 'Connecting…', live: 'Live', offline: 'Reconnecting…' };

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
let behind = 0; // answers in a row with fewer votes than were shown when the request was sent
const rate = new Rate();
let announced = document.title;

startThemeSwitch();
setSiblingLinks();
readPage();
if (ageElement.dataset.ageMs) {
  setAge(Number(ageElement.dataset.ageMs));
  stale = !banner.hidden;
}

const stream = new Stream('events', {
  onVotes(votes, first) {
    pushedAt = performance.now();
    const changed = show(votes);
    if (first) rate.restart();
    if (votesShown()) rate.add(totalShown());
    // The first event may repeat an old tally; a change was read just now.
    if (changed && !first) {
      setAge(0);
      stale = false;
      showState();
    } else if (currentAge() === undefined) {
      pollNow();
    }
  },
  onTraces(parents) {
    if (document.hidden) return; // nothing is drawn
    const startedAt = pushedAt;
    // The callback of the second frame runs once the first, which shows the push, has been drawn.
    requestAnimationFrame(() => requestAnimationFrame((drawnAt) => {
      if (drawnAt - startedAt > TOO_LATE_MS) return; // the page was hidden meanwhile
      for (const parent of parents) reportChild('render results', parent, startedAt, Math.max(startedAt, drawnAt));
    }));
  },
  onState(next) {
    state = next;
    connection.dataset.state = next;
    connection.textContent = CONNECTION_WORDS[next];
    showState();
  },
});

const pollNow = pollTally({
  snapshot: votesShown,
  onTally(tally, before) {
    failedPolls = 0;
    stale = tally.stale;
    if (Number.isFinite(tally.ageMs)) setAge(tally.ageMs);
    // A server may be a few seconds behind. Twice in a row fewer votes than were shown mean that counting has started again.
    const fewer = !stale && before && PETS.some((pet) => tally.votes[pet] < before[pet]);
    behind = fewer ? behind + 1 : 0;
    const restarted = behind >= 2;
    if (restarted || state !== 'live') show(tally.votes, { restarted }); // a live push is newer
    if (restarted) {
      behind = 0;
      rate.restart();
      rate.add(totalShown());
    }
    showState();
  },
  onError({ reached }) {
    if (reached) {
      failedPolls = 0;
      stale = true;
    } else {
      // A connection can be dead without either side noticing. Two polls without an answer reveal it.
      failedPolls += 1;
      if (failedPolls === 2 && state === 'live') stream.reopen();
    }
    showState();
  },
});

showHistory();
setInterval(showState, 1_000);
setInterval(announce, ANNOUNCE_MS);

// Shows votes and the leader, and returns whether they have changed.
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
  const problem = findProblem(age);
  banner.hidden = problem === '';
  setText(banner, problem);
  const perSecond = problem === '' && state === 'live' ? rate.perSecond() : undefined;
  setText(rateElement, perSecond === undefined ? '–' : perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 }));
}

function findProblem(age) {
  if (age === undefined) return 'There are no results yet. They will appear here as soon as they can be read.';
  if (failedPolls > 1) return `The results service can't be reached. The numbers are from ${inWords(age)}; the page keeps trying.`;
  if (stale) return `The votes can't be read at the moment. The numbers are from ${inWords(age)}; accepted votes are safe.`;
  return '';
}

// For screen readers: announces a new leader, a problem, and its end.
function announce() {
  const now = banner.hidden ? document.title : banner.textContent.split('.')[0];
  if (now === announced) return;
  announced = now;
  setText(summaryElement, banner.hidden ? leaderElement.textContent : `${now}.`);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
