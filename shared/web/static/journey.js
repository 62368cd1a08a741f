// Updates the journey of a vote, the list of steps that the server has put into the page.

const STEPS = ['accepted', 'queued', 'counted', 'shown'];
const LAST_DONE = { queued: 1, given_up: 1, counted: 2, shown: 3 }; // the index of the last step done, by a receipt's state
const TIMES = { queued: 'queued_at', counted: 'stored_at', shown: 'shown_at' };

// The text of a step while it is the next one.
const NEXT = { accepted: 'on its way to the server', counted: 'waiting to be stored', shown: 'waiting for the next push' };

export class Journey {
  #steps = new Map();

  constructor(list) {
    for (const name of STEPS) {
      const item = list.querySelector(`[data-step="${name}"]`);
      this.#steps.set(name, { item, meaning: item.dataset.meaning });
    }
  }

  // A vote has been cast and is on its way to the server.
  start() {
    this.#set('accepted', 'now');
    for (const name of STEPS.slice(1)) this.#set(name, 'open');
  }

  // The vote is not accepted yet; why in a few words.
  delayed(why) {
    this.#set('accepted', 'now', '', why);
  }

  // The vote will never be accepted; why in a few words.
  refused(why) {
    this.#set('accepted', 'failed', '', why);
  }

  // The server accepted the vote, ms after it was cast. An accepted vote is in the queue.
  accepted(ms) {
    this.#set('accepted', 'done', inWords(ms));
    this.#set('queued', 'done');
    this.#set('counted', 'now');
  }

  // Shows the state in a receipt and returns whether it can still change.
  show(receipt) {
    if (receipt.state === 'queued_or_unknown') return true; // says nothing new
    if (receipt.state === 'unknown') this.#lost();
    const lastDone = LAST_DONE[receipt.state];
    if (lastDone === undefined) return false;
    for (let i = 1; i < STEPS.length; i += 1) {
      const name = STEPS[i];
      if (i <= lastDone) this.#set(name, 'done', inWords(Date.parse(receipt[TIMES[name]]) - Date.parse(receipt.cast_at)));
      else this.#set(name, i === lastDone + 1 ? 'now' : 'open');
    }
    if (receipt.state === 'given_up') this.#set('counted', 'failed', '', 'could not be stored; moved to the dead letters');
    return receipt.state === 'queued' || receipt.state === 'counted';
  }

  #lost() {
    this.#set('counted', 'failed', '', 'this vote is no longer known: the queue or the database was emptied');
    this.#set('shown', 'open');
  }

  #set(name, state, time = '', what = undefined) {
    const { item, meaning } = this.#steps.get(name);
    item.dataset.state = state;
    if (state === 'now') item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
    setText(item.querySelector('.ms'), time);
    setText(item.querySelector('.what'), what ?? { open: 'not yet', now: NEXT[name], done: meaning }[state]);
  }
}

// A duration as the server writes it, or '' for NaN and for a negative one. Two clocks may differ a little: up to a
// millisecond below zero counts as zero.
function inWords(ms) {
  if (!(ms >= -1)) return '';
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Math.max(0, Math.floor(ms))} ms`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3_600)} h`;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
