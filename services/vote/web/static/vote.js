// The voting page: takes over the form, shows the outcome of each vote, and follows the last one to the screen.

import { attempt, now } from './fallbacks.js';
import { follow } from './follow.js';
import { Journey } from './journey.js';
import { setSiblingLinks } from './links.js';
import { isDurable } from './outbox.js';
import { Sender } from './sender.js';
import { startThemeSwitch } from './theme.js';

const form = document.getElementById('ballot');
const status = document.getElementById('status');
const waiting = document.getElementById('waiting');
const waitingCount = document.getElementById('waiting-count');
const waitingWhere = document.getElementById('waiting-where');
const waitingNext = document.getElementById('waiting-next');
const journeyCard = document.getElementById('journey');
const journeyLinks = document.getElementById('journey-links');
const journeyTrouble = document.createElement('span'); // after the links, while there is some
const { resultUrl, jaegerUrl } = document.body.dataset;

startThemeSwitch();
setSiblingLinks();
// Otherwise the notice of a form post would reappear with every reload.
if (location.search) attempt(() => history.replaceState(null, '', location.pathname));

const journey = new Journey(journeyCard.querySelector('.journey'));
let followed = { key: '', pressedAt: 0, receipt: undefined }; // the vote whose journey is shown
const mine = new Map(); // key → pet, of the votes cast on this page and not refused

const sender = new Sender({ onOutcome, onChange: showWaiting });
sender.start();
if (sender.waiting().length > 0) show('waiting', 'Your earlier votes are waiting in this browser. They will be sent automatically.');
setInterval(showWaiting, 1_000); // the seconds to the next attempt

form.addEventListener('submit', (event) => {
  const pet = event.submitter?.value;
  if (!pet || !window.fetch) return; // the form is sent without scripts then
  event.preventDefault();
  document.getElementById('retry')?.remove();
  show('sending', `Sending your vote for ${pet}…`);
  const { key } = sender.cast(pet);
  setMine(key, pet);
  pop(event.submitter.querySelector('.mine'));
  startJourney(key);
});

// Ask before votes are lost that the browser does not keep.
addEventListener('beforeunload', (event) => {
  if (!isDurable()) event.preventDefault();
});

document.getElementById('waiting-send').addEventListener('click', () => sender.sendWaiting());

// Starts the journey of a vote, in place of the one shown.
function startJourney(key) {
  followed = { key, pressedAt: now(), receipt: undefined };
  journeyLinks.replaceChildren();
  journey.start();
  journeyCard.hidden = false;
}

function onOutcome(vote, outcome) {
  showOutcome(vote, outcome);
  if (outcome.kind === 'refused') setMine(vote.key, undefined);
  if (outcome.kind === 'accepted' && followed.key === '') startJourney(vote.key); // one from an earlier page
  if (vote.key !== followed.key) return;
  switch (outcome.kind) {
    case 'accepted': return followJourney(vote, outcome);
    case 'refused': return journey.refused('the server refused it');
    case 'later': return journey.delayed('kept here until the server accepts it');
  }
}

function followJourney(vote, { id, traceId, entry }) {
  const firstAttempt = vote.failures === 0 && mine.has(vote.key); // else use the clock of the page that cast it
  journey.accepted(firstAttempt ? now() - followed.pressedAt : Date.now() - vote.at);
  const receipt = receiptLink(id, entry);
  journeyLinks.replaceChildren(...[receipt, traceLink(traceId)].filter(Boolean));
  if (!receipt) return;
  followed.receipt = receipt;
  follow(receipt.href, {
    onReceipt: (answer) => {
      journeyTrouble.remove();
      return journey.show(answer);
    },
    onError: () => showTrouble('The results service can’t be reached right now. Your vote is safe.'),
    isOver: () => followed.receipt !== receipt,
  });
}

// The browser may use another name for the results service than the policy allows.
document.addEventListener('securitypolicyviolation', ({ blockedURI }) => {
  if (!followed.receipt || !blockedURI.startsWith(followed.receipt.origin)) return;
  followed.receipt = undefined;
  showTrouble('The journey can’t be shown at this address. See the receipt instead.');
});

function showTrouble(text) {
  if (!journeyTrouble.isConnected) journeyLinks.append(journeyTrouble); // keep the links: one may have the focus
  setText(journeyTrouble, text);
}

function showOutcome(vote, outcome) {
  const what = `Your vote for ${vote.pet}`;
  switch (outcome.kind) {
    case 'accepted':
      return show('accepted', vote.failures > 0 ? `${what}, kept since ${clock(vote.at)}, was accepted.` : `${what} was accepted.`);
    case 'refused':
      return show('refused', `${what} was refused: ${outcome.why}.`);
    case 'later':
      // Only once: a screen reader should not repeat it with every attempt.
      if (vote.failures > 0 && status.dataset.state === 'waiting') return;
      return show('waiting', `${what} is kept ${isDurable() ? 'in this browser' : 'as long as this page is open'}, because ${outcome.why}. It will be sent again automatically until it is accepted, and it counts only once.`);
  }
}

// Only a well-formed id and a well-formed entry become part of an address.
function receiptLink(id, entry) {
  if (!/^[0-9a-f-]{36}$/i.test(id)) return undefined;
  const query = /^\d+\/\d+-\d+$/.test(entry) ? `?entry=${entry}` : '';
  return link(`${resultsAddress()}/votes/${id}${query}`, 'Receipt');
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

// Counts this page's votes on each choice, immediately; a refused vote is subtracted again.
function setMine(key, pet) {
  if (pet) mine.set(key, pet);
  else mine.delete(key);
  for (const choice of form.querySelectorAll('.choice')) {
    const count = [...mine.values()].filter((p) => p === choice.value).length;
    setText(choice.querySelector('.mine'), count > 0 ? `+${count}` : '');
  }
}

function pop(element) {
  const frames = [{ transform: 'scale(0.5)' }, { transform: 'scale(1.25)' }, { transform: 'none' }];
  attempt(() => {
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) element.animate(frames, { duration: 220, easing: 'ease-out' });
  });
}

function showWaiting() {
  const count = sender.waiting().length;
  if (count === 0 && waiting.contains(document.activeElement)) status.focus(); // its button is about to disappear
  waiting.hidden = count === 0;
  setText(waitingCount, String(count));
  setText(waitingWhere, isDurable() ? 'in this browser' : 'on this page, until it is closed');
  if (count > 0) {
    const seconds = Math.max(1, Math.ceil((sender.nextDue() - Date.now()) / 1_000));
    setText(waitingNext, sender.busy ? 'Sending…' : `Next attempt in ${seconds} s.`);
  } else if (status.dataset.state === 'waiting') {
    show('idle', 'Another tab has sent the votes that were waiting here.');
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}
