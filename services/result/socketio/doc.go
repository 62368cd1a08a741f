// Package socketio serves a stream of events to Socket.IO clients (protocol 5 over Engine.IO protocol 4): what a
// server needs that only pushes one state to everybody. It speaks both transports, polling and websocket, and the
// upgrade between them, has the main namespace only, and refuses the rest as the protocols want: other namespaces
// with CONNECT_ERROR, and binary and malformed packets by closing the connection. Events from clients are ignored.
//
// # Several processes without sticky sessions
//
// Each request of a session may come to another process: the handshake to one, CONNECT to a second, polls to a third,
// and the websocket to a fourth. They share nothing, and need not, since every viewer is sent the same. A sid says
// which process issued it, whether CONNECT has been answered, and which total was sent last. With each answer that
// changes this, the client is sent an open packet with a new sid, which it uses from then on:
//
//	client -- GET ---------------> A    0{"sid":"S.A"}                   the handshake
//	       -- POST 40 -----------> B    ok                               CONNECT
//	       -- GET sid=S.A -------> C    0{"sid":"S.C.1x"} 40{...} 42[...]  the first poll
//	       -- GET sid=S.C.1x ----> A    42[...]                          waits for a total above 1x
//	       -- websocket sid=S.A -> D    3probe, then 42[...]             the upgrade
//
// CONNECT comes along with the first poll, but perhaps to another process, so the poll is answered as if it had come.
// Polls are short while a session is young, because an upgrade at another process waits for their end. A client that
// does not take the new sid (the official one does) may get an answer to CONNECT, and each push, from every process.
//
// Until a process sees a sid that another has issued, it takes itself for the only one, or one behind sticky sessions,
// and is stricter: what has ended is unknown, a pong must come here, and so must CONNECT if the first POST does.
//
// # Conformance
//
// The protocols' own test suites want SOCKET_PING_INTERVAL=300ms and SOCKET_PING_TIMEOUT=200ms. What fails is what this
// server refuses: tests that want a message, an acknowledgement or the payload of CONNECT sent back, or a second
// namespace. Two tests race with themselves, and fail now and then on a busy machine: a poll beside a POST that closes
// the session, and one right after the upgrade.
//
// # Limits
//
// A viewer by websocket occupies 20 KB, mostly the stacks of its two goroutines, and one that polls 45 KB. Frames
// are encoded once for all, and a slow viewer gets the newest, never a backlog. A client that takes longer than 10 s
// for a write, or than the ping time-out for a pong, is disconnected.
package socketio
