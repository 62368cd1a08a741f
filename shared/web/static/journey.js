// The journey of a vote, drawn into the list of steps that the server has put into the page.

const STEPS = ['accepted', 'queued', 'counted', 'shown'];
const REACHED = { queued: 1, counted: 2, shown: 3 }; // by a receipt's state
const TIMES = { queued: 'queued_at', counted: 'stored_at', shown: 'shown_at' };

// What a step says while the vote is on its way to it.
const UNDERWAY = { accepted: 'on its way to the server', counted: 'waiting to be stored', shown: 'waiting for the next push' };

export class Journey {
  #steps = new Map();

  constructor(list) {
    for (const name of STEPS) {
      const item = list.querySelector(`[data-step="${name}"]`);
      this.#steps.set(name, { item, meaning: item.dataset.meaning });
    }
  }

  // A vote has been cast and is on its way to the server.
  begin() {
    this.#set('accepted', 'now');
    for (const name of STEPS.slice(1)) this.#set(name, 'open');
  }

  // The vote is not accepted yet, or never; why is a few words.
  delayed(why) {
    this.#set('accepted', 'now', '', why);
  }

  refused(why) {
    this.#set('accepted', 'failed', '', why);
  }

  // Nothing is known of the vote any more.
  lost() {
    this.#set('counted', 'failed', '', 'nobody knows this vote any more: the queue or the database was emptied');
    this.#set('shown', 'open');
  }

  // The server has taken the vote, ms after it was cast. What is accepted is in the queue.
  accepted(ms) {
    this.#set('accepted', 'done', inWords(ms));
    this.#set('queued', 'done');
    this.#set('counted', 'now');
  }

  // What a receipt says; and whether there is more to come.
  show(receipt) {
    const reached = receipt.state === 'given_up' ? REACHED.queued : REACHED[receipt.state];
    if (receipt.state === 'unknown') this.lost();
    if (reached === undefined) return false;
    for (let i = 1; i < STEPS.length; i += 1) {
      const name = STEPS[i];
      if (i <= reached) this.#set(name, 'done', inWords(Date.parse(receipt[TIMES[name]]) - Date.parse(receipt.cast_at)));
      else this.#set(name, i === reached + 1 ? 'now' : 'open');
    }
    if (receipt.state === 'given_up') this.#set('counted', 'failed', '', 'it could not be stored, and lies with the dead letters');
    return receipt.state === 'queued' || receipt.state === 'counted';
  }

  #set(name, state, time = '', what = undefined) {
    const { item, meaning } = this.#steps.get(name);
    item.dataset.state = state;
    if (state === 'now') item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
    setText(item.querySelector('.ms'), time);
    setText(item.querySelector('.what'), what ?? { open: 'not yet', now: UNDERWAY[name], done: meaning }[state]);
  }
}

// A duration as the server's pages give it; nothing for what is no duration. Two clocks can differ a little: within a
// millisecond that is nothing.
export function inWords(ms) {
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
