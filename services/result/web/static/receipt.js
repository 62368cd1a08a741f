// The receipt: follows the vote for as long as there is more to come.

import { follow } from './follow.js';
import { Journey } from './journey.js';
import { setSiblingLinks } from './links.js';
import { startThemeSwitch } from './theme.js';

const HEADLINES = {
  counted: 'This vote is counted, once.',
  shown: 'This vote is counted, once.',
  given_up: 'This vote was accepted, but could not be stored. It lies with the dead letters, where it can be replayed.',
};

startThemeSwitch();
setSiblingLinks();

const headline = document.getElementById('receipt');
const list = document.querySelector('.journey');
if (list && ['queued', 'counted'].includes(headline.dataset.state)) {
  const journey = new Journey(list);
  follow(location.pathname, {
    answer: (receipt) => {
      const more = journey.show(receipt);
      if (HEADLINES[receipt.state] && headline.dataset.state !== receipt.state) {
        headline.dataset.state = receipt.state;
        headline.textContent = HEADLINES[receipt.state];
      }
      return more;
    },
    trouble: () => {}, // the page says what was known when it was built
  }, new AbortController().signal);
}
