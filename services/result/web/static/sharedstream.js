// One event stream for all visible tabs of a browser. Over HTTP/1.1 it has six connections to a host, which streams of
// their own would soon take up.
//
// One visible tab, the leader, opens the stream, and passes on what arrives, and every second its state. The others follow.
// A tab that becomes visible asks for the leader, and leads if none answers. So does a visible follower that gets nothing
// for three seconds. Of two leaders the one with the higher id steps down. A leader that is hidden or closed steps down too,
// and says so. Hidden tabs neither lead nor follow, since browsers slow them down or freeze them, and what they are sent
// would pile up. Where the browser refuses BroadcastChannel, every visible tab leads.

import { attempt } from './fallbacks.js';
import { Stream } from './stream.js';

const ANSWER_MS = 150; // how long a tab waits for the leader's answer, at least; at most twice that
const STATE_MS = 1_000;
const SILENT_MS = 3_000;

export class SharedStream {
  #url;
  #handlers;
  #tabs; // the channel to them, while this tab is visible
  #id = Math.random();
  #stream; // while this tab leads
  #announcing; // the timer of that
  #timer; // of the next search for a leader
  #leader; // the id of the one that this tab follows
  #state;
  #votes; // the last that this tab got as leader

  // The parameters are those of Stream. onTraces is called in the leader only.
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#leave() : this.#seek()));
    addEventListener('pagehide', () => this.#leave());
    addEventListener('pageshow', () => this.#seek());
    this.#setState('connecting');
    this.#seek();
  }

  // Replaces a connection that is known to be dead, if this tab has it. The leader finds out by itself too.
  reopen() {
    this.#stream?.reopen();
  }

  #seek() {
    if (this.#stream) return;
    clearTimeout(this.#timer);
    if (document.hidden) return this.#setState('connecting');
    this.#tabs ??= this.#join();
    this.#post({ seeking: true });
    this.#timer = setTimeout(() => this.#lead(), this.#tabs ? ANSWER_MS * (1 + Math.random()) : 0);
  }

  #lead() {
    if (document.hidden) return this.#setState('connecting');
    this.#leader = undefined;
    this.#votes = undefined;
    this.#announcing = setInterval(() => this.#announce(), STATE_MS);
    this.#stream = new Stream(this.#url, {
      onVotes: (votes, first) => {
        this.#votes = votes;
        this.#announce({ isPush: true, first });
        this.#handlers.onVotes(votes, first);
      },
      onTraces: this.#handlers.onTraces,
      onState: (state) => {
        this.#setState(state);
        this.#announce();
      },
    });
  }

  #join() {
    const tabs = attempt(() => new BroadcastChannel(`petvote.results ${new URL(this.#url, location.href)}`));
    tabs?.addEventListener('message', ({ data }) => this.#receive(data));
    return tabs;
  }

  #leave() {
    clearTimeout(this.#timer);
    if (this.#stream) {
      this.#close();
      this.#post({ steppedDown: true });
    }
    this.#tabs?.close();
    this.#tabs = undefined;
    this.#leader = undefined; // what comes next comes after a gap
    this.#setState('connecting');
  }

  #close() {
    clearInterval(this.#announcing);
    this.#stream.close();
    this.#stream = undefined;
  }

  #receive({ seeking, steppedDown, leader, state, votes, isPush, first }) {
    if (seeking) return this.#stream && this.#announce();
    if (steppedDown) return this.#seek();
    if (this.#stream) {
      if (this.#id < leader) return this.#announce();
      this.#close();
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#seek(), SILENT_MS);
    const isNew = this.#leader !== leader;
    this.#leader = leader;
    this.#setState(state);
    if (votes && (isPush || isNew)) this.#handlers.onVotes(votes, isNew || first);
  }

  #announce(push) {
    this.#post({ leader: this.#id, state: this.#state, votes: this.#votes, ...push });
  }

  #post(message) {
    attempt(() => this.#tabs?.postMessage(message));
  }

  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#handlers.onState(state);
  }
}
