// The receipt page: follows the vote for as long as its state can change.

import { follow } from './follow.js';
import { Journey } from './journey.js';
import { setSiblingLinks } from './links.js';
import { startThemeSwitch } from './theme.js';

// As in pages.go, for the states that an open page can reach.
const HEADLINES = {
  counted: 'This vote has been counted, exactly once.',
  shown: 'This vote has been counted, exactly once.',
  given_up: 'This vote was accepted, but could not be stored. It is among the dead letters and can be replayed from there.',
};

startThemeSwitch();
setSiblingLinks();

const headline = document.getElementById('receipt');
const list = document.querySelector('.journey');
if (list && ['queued', 'counted'].includes(headline.dataset.state)) {
  const journey = new Journey(list);
  follow(location.pathname + location.search, {
    onReceipt: (receipt) => {
      const canChange = journey.show(receipt);
      if (HEADLINES[receipt.state] && headline.dataset.state !== receipt.state) {
        headline.dataset.state = receipt.state;
        headline.textContent = HEADLINES[receipt.state];
      }
      return canChange;
    },
    onError: () => {}, // the page keeps what it shows
  });
}
