// The voting page: takes over the form, shows what becomes of each vote, and follows the last one to the screen.

import { Courier } from './courier.js';
import { follow } from './follow.js';
import { Journey } from './journey.js';
import { isDurable } from './kept.js';
import { setSiblingLinks } from './links.js';
import { startThemeSwitch } from './theme.js';

const form = document.getElementById('ballot');
const status = document.getElementById('status');
const waiting = document.getElementById('waiting');
const waitingCount = document.getElementById('waiting-count');
const waitingNext = document.getElementById('waiting-next');
const journeyCard = document.getElementById('journey');
const journeyLinks = document.getElementById('journey-links');
const journeyTrouble = document.createElement('span'); // behind the links, while there is some
const { resultUrl, jaegerUrl } = document.body.dataset;

startThemeSwitch();
setSiblingLinks();
// The notice of a form post would otherwise come back with every reload.
if (location.search) history.replaceState(null, '', location.pathname);

const journey = new Journey(journeyCard.querySelector('.journey'));
let followed = { key: '', pressedAt: 0, stop: new AbortController() }; // the vote whose journey is shown
const mine = new Map(); // key → pet, of the votes cast on this page that have not been refused

const courier = new Courier({ report, changed: showWaiting });
courier.start();
if (courier.waiting().length > 0) show('waiting', 'Votes from earlier are kept in this browser. They are sent again by themselves.');
setInterval(showWaiting, 1_000); // the seconds to the next try

form.addEventListener('submit', (event) => {
  const pet = event.submitter?.value;
  if (!pet) return;
  event.preventDefault();
  document.getElementById('retry')?.remove();
  show('sending', `Sending your vote for ${pet}…`);
  const { key } = courier.cast(pet);
  setMine(key, pet);
  pop(event.submitter.querySelector('.mine'));
  embark(key);
});

document.getElementById('waiting-send').addEventListener('click', () => courier.sendWaiting());

// Begins the journey of a vote, in place of the one shown.
function embark(key) {
  followed.stop.abort();
  followed = { key, pressedAt: performance.now(), stop: new AbortController() };
  journeyLinks.replaceChildren();
  journey.begin();
  journeyCard.hidden = false;
}

function report(vote, outcome) {
  showOutcome(vote, outcome);
  if (outcome.kind === 'refused') setMine(vote.key, undefined);
  if (outcome.kind === 'accepted' && followed.key === '') embark(vote.key); // one from an earlier page
  if (vote.key !== followed.key) return;
  switch (outcome.kind) {
    case 'accepted': return travel(vote, outcome);
    case 'refused': return journey.refused('the server has refused it');
    case 'later': return journey.delayed('kept here until the server takes it');
  }
}

function travel(vote, { id, traceId }) {
  const atOnce = vote.failures === 0 && mine.has(vote.key); // else the clock of the page that cast it has to do
  journey.accepted(atOnce ? performance.now() - followed.pressedAt : Date.now() - vote.at);
  const receipt = receiptLink(id);
  journeyLinks.replaceChildren(...[receipt, traceLink(traceId)].filter(Boolean));
  if (!receipt) return;
  const trouble = (text) => {
    if (!journeyTrouble.isConnected) journeyLinks.append(journeyTrouble); // the links stay: one may have the focus
    setText(journeyTrouble, text);
  };
  const { stop } = followed;
  document.addEventListener('securitypolicyviolation', ({ blockedURI }) => {
    if (!blockedURI.startsWith(new URL(receipt.href).origin)) return;
    stop.abort(); // the page was asked for by another name than the server knows
    trouble('From this address the journey can’t be followed; the receipt tells it.');
  }, { signal: stop.signal });
  follow(receipt.href, {
    answer: (answer) => {
      journeyTrouble.remove();
      return journey.show(answer);
    },
    trouble: () => trouble('The results can’t be asked just now. Your vote is safe.'),
  }, stop.signal);
}

function showOutcome(vote, outcome) {
  const what = `Your vote for ${vote.pet}`;
  switch (outcome.kind) {
    case 'accepted':
      return show('accepted', vote.failures > 0 ? `${what}, kept since ${clock(vote.at)}, was accepted.` : `${what} was accepted.`);
    case 'refused':
      return show('refused', `${what} was refused: ${outcome.why}.`);
    case 'later':
      // Said once: those who hear the page should not hear it with every attempt.
      if (vote.failures > 0 && status.dataset.state === 'waiting') return;
      return show('waiting', `${what} is kept ${isDurable() ? 'in this browser' : 'as long as this page is open'}, because ${outcome.why}. It is sent again by itself until it is accepted, and counted once.`);
  }
}

// Links only to what has the shape of an id: an answer decides no other part of an address.
function receiptLink(id) {
  return /^[0-9a-f-]{36}$/i.test(id) ? link(`${resultsAddress()}/votes/${id}`, 'Receipt') : undefined;
}

function traceLink(id) {
  return jaegerUrl && /^[0-9a-f]{32}$/i.test(id) ? link(`${jaegerUrl}/trace/${id}`, 'Trace') : undefined;
}

function resultsAddress() {
  return resultUrl || document.getElementById('results-link').href.replace(/\/$/, '');
}

function link(href, text) {
  const a = document.createElement('a');
  a.href = href;
  a.textContent = text;
  return a;
}

function show(state, text) {
  status.dataset.state = state;
  status.replaceChildren(text);
}

// On each choice, how many of the votes for it were cast here: at once, and taken back if the server refuses one.
function setMine(key, pet) {
  if (pet) mine.set(key, pet);
  else mine.delete(key);
  for (const choice of form.querySelectorAll('.choice')) {
    const count = [...mine.values()].filter((p) => p === choice.value).length;
    setText(choice.querySelector('.mine'), count > 0 ? `+${count}` : '');
  }
}

function pop(element) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  const frames = [{ transform: 'scale(0.5)' }, { transform: 'scale(1.25)' }, { transform: 'none' }];
  element.animate?.(frames, { duration: 220, easing: 'ease-out' });
}

function showWaiting() {
  const count = courier.waiting().length;
  if (count === 0 && waiting.contains(document.activeElement)) status.focus(); // its button is about to go
  waiting.hidden = count === 0;
  setText(waitingCount, String(count));
  if (count > 0) {
    const seconds = Math.max(1, Math.ceil((courier.nextDue() - Date.now()) / 1_000));
    setText(waitingNext, courier.busy ? 'Sending…' : `Next try in ${seconds} s.`);
  } else if (status.dataset.state === 'waiting') {
    show('idle', 'The votes that waited here have been sent by another tab.');
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
