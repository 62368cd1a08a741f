// A viewer by the official client: node viewer.mjs <folder of socket.io-client> <address> <transports, comma-separated, or "default">
// Prints one JSON object a line: {"event": "current_votes", "transport": …, "votes": {…}}, and likewise "connect", "upgrade"
// and "disconnect" (with its reason). Ends, after a disconnect of its own, when its input does.
import { createRequire } from 'node:module';

const [folder, address, transports] = process.argv.slice(2);
const { io } = createRequire(`${folder}/`)('socket.io-client');

const options = { reconnectionDelay: 100, reconnectionDelayMax: 500, forceNew: true };
if (transports !== 'default') options.transports = transports.split(',');
const socket = io(address, options);
const say = (event, more) => console.log(JSON.stringify({ event, transport: socket.io.engine?.transport.name, ...more }));

socket.on('connect', () => {
  say('connect');
  const { engine } = socket.io;
  if (transports === 'default' && engine.transport.name === 'websocket') say('upgrade'); // it was quicker
  else engine.once('upgrade', () => say('upgrade'));
});
socket.on('disconnect', (reason) => say('disconnect', { reason }));
socket.on('current_votes', (votes) => say('current_votes', { votes }));

process.stdin.on('end', () => socket.disconnect());
process.stdin.resume();
