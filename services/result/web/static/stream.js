// The push of the results: an EventSource that never gives up.

import { backoff } from './backoff.js';
import { attempt } from './fallbacks.js';

// Opens url and calls
//   onVotes(votes, first)  for each current_votes event; the first of a connection may hold an old tally
//   onTraces(parents)      for the traceparents of a push whose drawing this page is to report
//   onState(state)         when the connection becomes 'connecting', 'live' or 'offline', or the browser has none: 'polling'
//
// An EventSource reconnects by itself after a broken connection, but closes for good after an answer other than 200. Then a
// new one is opened.
export class Stream {
  #url;
  #onVotes;
  #onTraces;
  #onState;
  #source;
  #timer;
  #failures = 0;

  constructor(url, { onVotes, onTraces, onState }) {
    this.#url = url;
    this.#onVotes = onVotes;
    this.#onTraces = onTraces;
    this.#onState = onState;
    onState('connecting');
    this.#open();
  }

  // Replaces a connection that is known to be dead.
  reopen() {
    this.#onState('offline');
    this.#open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #open() {
    this.close();
    const source = attempt(() => new EventSource(this.#url));
    if (!source) return this.#onState('polling');
    this.#source = source;
    let first = true;

    source.addEventListener('open', () => {
      first = true;
      this.#failures = 0;
      this.#onState('live');
    });
    source.addEventListener('current_votes', (event) => {
      this.#onVotes(JSON.parse(event.data), first);
      first = false;
    });
    source.addEventListener('push_traces', (event) => this.#onTraces(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      this.#onState('offline');
      if (source.readyState === EventSource.CLOSED && source === this.#source) {
        this.#failures += 1;
        this.#timer = setTimeout(() => this.#open(), backoff(this.#failures));
      }
    });
  }
}
