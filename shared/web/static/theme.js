// The switch between light and dark. A cookie keeps the choice, so that the server renders the next page in it and the
// pages of both services agree. Choosing the system's own theme deletes the cookie.

import { attempt } from './fallbacks.js';

const COOKIE = 'petvote-theme';
const YEAR_S = 365 * 24 * 3600;

export function startThemeSwitch() {
  const root = document.documentElement;
  const button = document.getElementById('theme-switch');
  const system = attempt(() => matchMedia('(prefers-color-scheme: dark)'));
  const systemTheme = () => (system?.matches ? 'dark' : 'light');
  const show = () => button.setAttribute('aria-pressed', String((root.dataset.theme ?? systemTheme()) === 'dark'));

  let isKept = true; // false if the browser refuses the cookie
  const set = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    show();
  };

  button.addEventListener('click', () => {
    const dark = button.getAttribute('aria-pressed') !== 'true';
    const theme = dark ? 'dark' : 'light';
    const followsSystem = theme === systemTheme();
    attempt(() => { document.cookie = `${COOKIE}=${theme}; path=/; samesite=lax; max-age=${followsSystem ? 0 : YEAR_S}`; });
    set(followsSystem ? undefined : theme);
    isKept = stored() === root.dataset.theme;
  });
  attempt(() => system.addEventListener('change', show));
  document.addEventListener('visibilitychange', () => {
    if (isKept) set(stored()); // another page may have changed it
  });
  button.hidden = false;
  show();
}

function stored() {
  return attempt(() => document.cookie.match(/(?:^|; )petvote-theme=(light|dark)(?:;|$)/)?.[1]);
}
