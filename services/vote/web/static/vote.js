// The voting page: takes over the form, and shows what becomes of each vote.

import { Courier } from './courier.js';
import { isDurable } from './kept.js';
import { setSiblingLinks } from './links.js';

const form = document.getElementById('ballot');
const status = document.getElementById('status');
const waiting = document.getElementById('waiting');
const waitingCount = document.getElementById('waiting-count');
const waitingNext = document.getElementById('waiting-next');
const { resultUrl, jaegerUrl } = document.body.dataset;

setSiblingLinks();
// The notice of a form post would otherwise come back with every reload.
if (location.search) history.replaceState(null, '', location.pathname);

const courier = new Courier({ report: showOutcome, changed: showWaiting });
courier.start();
if (courier.waiting().length > 0) show('waiting', 'Votes from earlier are kept in this browser. They are sent again by themselves.');
setInterval(showWaiting, 1_000); // the seconds to the next try

form.addEventListener('submit', (event) => {
  const pet = event.submitter?.value;
  if (!pet) return;
  event.preventDefault();
  show('sending', `Sending your vote for ${pet}…`);
  courier.cast(pet);
});

document.getElementById('waiting-send').addEventListener('click', () => courier.sendWaiting());

function showOutcome(vote, outcome) {
  const what = `Your vote for ${vote.pet}`;
  switch (outcome.kind) {
    case 'accepted':
      return show('accepted', vote.failures > 0 ? `${what}, kept since ${clock(vote.at)}, was accepted.` : `${what} was accepted.`, ...linksTo(outcome));
    case 'refused':
      return show('refused', `${what} was refused: ${outcome.why}.`);
    case 'later':
      // Said once: those who hear the page should not hear it with every attempt.
      if (vote.failures > 0 && status.dataset.state === 'waiting') return;
      return show('waiting', `${what} is kept ${isDurable() ? 'in this browser' : 'as long as this page is open'}, because ${outcome.why}. It is sent again by itself until it is accepted, and counted once.`);
  }
}

// Links only to what has the shape of an id: an answer decides no other part of an address.
function linksTo({ id, traceId }) {
  const links = [];
  if (/^[0-9a-f-]{36}$/i.test(id)) links.push(link(`${resultsAddress()}/votes/${id}`, 'Receipt'));
  if (jaegerUrl && /^[0-9a-f]{32}$/i.test(traceId)) links.push(link(`${jaegerUrl}/trace/${traceId}`, 'Trace'));
  return links;
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

function show(state, text, ...links) {
  status.dataset.state = state;
  status.replaceChildren(text, ...links.flatMap((a) => [' ', a]));
}

function showWaiting() {
  const count = courier.waiting().length;
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
  return new Date(ms).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit' });
}
