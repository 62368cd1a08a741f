// The results page: shows the pushed votes, the state of the connection and the age of the numbers.

import { currentAge, inWords, setAge } from './age.js';
import { PETS, readPage, showVotes, totalShown, votesShown } from './counts.js';
import { attempt, now } from './fallbacks.js';
import { showHistory } from './history.js';
import { leader } from './leader.js';
import { setSiblingLinks } from './links.js';
import { Rate } from './rate.js';
import { SharedStream } from './sharedstream.js';
import { pollTally } from './tally.js';
import { startThemeSwitch } from './theme.js';
import { reportChild } from './trace.js';

const ANNOUNCE_MS = 10_000;
const TOO_LATE_MS = 2_000;
const SILENT_MS = 10_000; // more than two polls
const CONNECTION_WORDS = {
  connecting: 'Connecting…', live: 'Live', offline: 'Reconnecting…', polling: 'Every few seconds', waiting: 'Waiting…',
};

const connection = document.getElementById('connection');
const ageElement = document.getElementById('age');
const rateElement = document.getElementById('rate');
const leaderElement = document.getElementById('leader');
const banner = document.getElementById('banner');
const summaryElement = document.getElementById('summary');

let state;
let stale = false;
let failedPolls = 0;
let missed = 0; // polls that have brought votes for the first time since the last push
let heardAt = now(); // when the service last answered
let pushedAt = 0; // when the last push arrived
let push; // the last one, {votes, first}, until the next frame draws it
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

const stream = new SharedStream('events', {
  onVotes(votes, first) {
    heardAt = pushedAt = now();
    missed = 0;
    const waits = push !== undefined;
    push = { votes, first: first || push?.first };
    if (!waits) attempt(() => requestAnimationFrame(drawPush)) ?? drawPush();
  },
  onTraces(parents) {
    if (document.hidden) return; // nothing is drawn
    const startedAt = pushedAt;
    // The callback of the second frame runs once the first, which shows the push, has been drawn.
    attempt(() => requestAnimationFrame(() => requestAnimationFrame((drawnAt) => {
      if (drawnAt - startedAt > TOO_LATE_MS) return; // the page was hidden meanwhile
      for (const parent of parents) reportChild('render results', parent, startedAt, Math.max(startedAt, drawnAt));
    })));
  },
  onState(next) {
    state = next;
    showState();
  },
});

const pollNow = pollTally({
  snapshot: votesShown,
  onTally(tally, before) {
    drawPush();
    failedPolls = 0;
    heardAt = now();
    stale = tally.stale;
    if (Number.isFinite(tally.ageMs)) setAge(tally.ageMs);
    // A server may be a few seconds behind. Twice in a row fewer votes than were shown mean that counting has started again.
    const fewer = !stale && before && PETS.some((pet) => tally.votes[pet] < before[pet]);
    behind = fewer ? behind + 1 : 0;
    const restarted = behind >= 2;
    const isNews = show(tally.votes, { restarted });
    if (isNews && state === 'live') reopenIf((missed += 1) === 2); // a stream can be stuck, in a proxy for instance
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
      heardAt = now();
      stale = true;
    } else {
      // A connection can be dead without either side noticing. Two polls without an answer reveal it.
      failedPolls += 1;
      reopenIf(failedPolls === 2 && state === 'live');
    }
    showState();
  },
});

showHistory();
document.addEventListener('visibilitychange', () => { heardAt = now(); }); // a hidden page does not poll
setInterval(showState, 1_000);
setInterval(announce, ANNOUNCE_MS);

// Draws the last push, unless it is drawn already.
function drawPush() {
  if (!push) return;
  const { votes, first } = push;
  push = undefined;
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
}

// Shows votes and the leader, and returns whether they have changed.
function show(votes, options) {
  if (!showVotes(votes, options)) return false;
  const { sentence, title } = leader(votesShown());
  setText(leaderElement, sentence);
  const full = `${title} · petvote`;
  if (document.title !== full) document.title = full;
  return true;
}

function reopenIf(dead) {
  if (!dead) return;
  missed = 0;
  stream.reopen();
}

function showState() {
  const age = currentAge();
  setText(ageElement, inWords(age));
  const problem = findProblem(age);
  banner.hidden = problem === '';
  setText(banner, problem);
  const connected = state === 'live' && problem !== '' ? 'waiting' : state;
  connection.dataset.state = connected;
  setText(connection, CONNECTION_WORDS[connected]);
  const perSecond = problem === '' && state === 'live' ? rate.perSecond() : undefined;
  setText(rateElement, perSecond === undefined ? '–' : perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 }));
}

function findProblem(age) {
  if (age === undefined) return 'There are no results yet. They will appear here as soon as they can be read.';
  if (failedPolls > 1 || (!document.hidden && now() - heardAt > SILENT_MS)) return `The results service can't be reached. The numbers are from ${inWords(age)}; the page keeps trying.`;
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
