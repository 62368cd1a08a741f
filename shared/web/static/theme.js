// The switch between light and dark colours. What it was set to is in a cookie, so that the server builds the next page
// in the right colours and the pages of both services agree; set to what the system says, it is off and there is none.

const COOKIE = 'petvote-theme';
const YEAR_S = 365 * 24 * 3600;

export function startThemeSwitch() {
  const root = document.documentElement;
  const button = document.getElementById('theme-switch');
  const system = matchMedia('(prefers-color-scheme: dark)');
  const systemTheme = () => (system.matches ? 'dark' : 'light');
  const show = () => button.setAttribute('aria-pressed', String((root.dataset.theme ?? systemTheme()) === 'dark'));

  const set = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    show();
  };

  button.addEventListener('click', () => {
    const dark = button.getAttribute('aria-pressed') !== 'true';
    const theme = dark ? 'dark' : 'light';
    const off = theme === systemTheme();
    document.cookie = `${COOKIE}=${theme}; path=/; samesite=lax; max-age=${off ? 0 : YEAR_S}`;
    set(off ? undefined : theme);
  });
  system.addEventListener('change', show);
  document.addEventListener('visibilitychange', () => set(stored())); // it may have been switched on another page
  button.hidden = false;
  show();
}

function stored() {
  return document.cookie.match(/(?:^|; )petvote-theme=(light|dark)(?:;|$)/)?.[1];
}
