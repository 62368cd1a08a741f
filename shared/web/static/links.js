// Corrects the links to the other service. Where no host is configured, the server guesses the host from the Host
// header, which a proxy may have rewritten. The browser knows the name it used, so it sets those links again.
export function setSiblingLinks() {
  for (const link of document.querySelectorAll('a[data-sibling-port]')) {
    link.href = `${location.protocol}//${location.hostname}:${link.dataset.siblingPort}${link.pathname}`;
  }
}
