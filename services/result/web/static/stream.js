// The push of the results: an EventSource that never gives up.

import { backoff } from './backoff.js';

// Opens url and calls votes(data, first) for each current_votes event, where first says that it is the greeting of a new
// connection and may be old, traces(traceparents) behind those that this page is asked to report, and
// state('connecting' | 'live' | 'offline') on each change.
//
// After a broken connection an EventSource comes back by itself; after an answer other than 200 it closes for good, so
// that a new one is opened then.
export class Stream {
  #url;
  #votes;
  #state;
  #traces;
  #source;
  #timer;
  #failures = 0;

  constructor(url, { votes, state, traces }) {
    this.#url = url;
    this.#votes = votes;
    this.#state = state;
    this.#traces = traces;
    state('connecting');
    this.#open();
  }

  // Gives up a connection that is known to be dead and opens another.
  reopen() {
    this.#state('offline');
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    let first = true;

    source.addEventListener('open', () => {
      first = true;
      this.#failures = 0;
      this.#state('live');
    });
    source.addEventListener('current_votes', (event) => {
      this.#votes(JSON.parse(event.data), first);
      first = false;
    });
    source.addEventListener('push_traces', (event) => this.#traces(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      this.#state('offline');
      if (source.readyState === EventSource.CLOSED && source === this.#source) {
        this.#failures += 1;
        this.#timer = setTimeout(() => this.#open(), backoff(this.#failures));
      }
    });
  }
}
