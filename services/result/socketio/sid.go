package socketio

import (
	"crypto/rand"
	"regexp"
	"strconv"
)

// sid is a session's id as clients send it back. It says what any process needs to know of the session. All sids of a
// session have the same id.
type sid struct {
	id      string
	process string // that issued the sid
	total   int64  // votes in the last frame sent, or one of:
}

const (
	connected   = -1 // CONNECT has been answered, but no frame sent
	unconnected = -2
)

func randomID() string { return rand.Text()[:20] } // 100 bits

func (s sid) String() string { return s.id + "." + s.process + "." + strconv.FormatInt(s.total, 36) }

var sidForm = regexp.MustCompile(`^([A-Z2-7]{20})\.([A-Z2-7]{20})\.(-1|-2|[0-9a-z]{1,13})$`)

func parseSID(text string) (s sid, ok bool) {
	parts := sidForm.FindStringSubmatch(text)
	if parts == nil {
		return sid{}, false
	}
	total, err := strconv.ParseInt(parts[3], 36, 64)
	return sid{parts[1], parts[2], total}, err == nil
}
