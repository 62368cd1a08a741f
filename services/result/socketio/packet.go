package socketio

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

const (
	separator     = '\x1e'  // between the packets of a payload
	maxPacket     = 4 << 10 // bytes; viewers only connect and disconnect
	maxNamespace  = 64      // bytes; those that wait for a refusal take memory
	mainNamespace = "/"
)

// packet is a packet from a client: an Engine.IO packet without data as it is encoded, or the first two bytes of a
// message, which are its type and the Socket.IO packet's. What is no packet that a viewer may send is "".
type packet struct {
	kind      string
	namespace string // of a CONNECT
}

// parse reads a packet as strictly as the reference implementation, but none with binary data. See
// https://socket.io/docs/v4/engine-io-protocol/#packet-encoding.
func parse(data []byte) packet {
	switch text := string(data); {
	case !utf8.ValidString(text):
	case text == "1", text == "2probe", text == "3", text == "5", text == "6":
		return packet{kind: text}
	case len(text) > 1 && text[0] == '4':
		return parseMessage(text[:2], data[2:])
	}
	return packet{}
}

// parseMessage reads what follows a Socket.IO packet's type: [<namespace>,][<acknowledgement id>][JSON]. See
// https://socket.io/docs/v4/socket-io-protocol/#packet-encoding.
func parseMessage(kind string, rest []byte) packet {
	namespace := mainNamespace
	if bytes.HasPrefix(rest, []byte(mainNamespace)) {
		name, after, _ := bytes.Cut(rest, []byte(","))
		namespace, rest = string(name), after
		if len(name) > maxNamespace {
			return packet{}
		}
	}
	payload := bytes.TrimLeft(rest, "0123456789")
	hasID := len(payload) < len(rest)
	var values []json.RawMessage
	switch {
	case kind == "40" && !hasID && (len(payload) == 0 || payload[0] == '{' && json.Valid(payload)):
		return packet{kind, namespace}
	case namespace != mainNamespace: // nobody can be connected to it
	case kind == "41" && len(rest) == 0:
		return packet{kind: kind}
	case json.Unmarshal(payload, &values) != nil || values == nil:
	case kind == "42" && len(values) > 0 && bytes.IndexByte([]byte(`"-0123456789`), values[0][0]) >= 0,
		kind == "43" && hasID:
		return packet{kind: kind}
	}
	return packet{}
}

// splitPackets is a bufio.SplitFunc.
func splitPackets(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, separator); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
