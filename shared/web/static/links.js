// Addresses of the other services, as the browser sees them.

// Where an address isn't configured, the server guessed it from the Host header, which a proxy may have rewritten. The
// browser knows the name it used, so links that carry a port are set from that.
export function setSiblingLinks() {
  for (const link of document.querySelectorAll('a[data-sibling-port]')) {
    link.href = siblingURL(link.dataset.siblingPort);
  }
}

export function siblingURL(port) {
  return `${location.protocol}//${location.hostname}:${port}/`;
}
