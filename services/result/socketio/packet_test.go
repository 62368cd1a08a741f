package socketio

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPacketsOfTheProtocolsAreReadAndAllOthersRefused(t *testing.T) {
	for text, want := range map[string]packet{
		"1": {kind: "1"}, "2probe": {kind: "2probe"}, "3": {kind: "3"}, "5": {kind: "5"}, "6": {kind: "6"},
		"40": {"40", "/"}, "40{}": {"40", "/"}, `40{"token":"123"}`: {"40", "/"}, "40/,": {"40", "/"},
		"40/admin": {"40", "/admin"}, "40/admin,": {"40", "/admin"}, `40/admin,{"token":"123"}`: {"40", "/admin"},
		"41": {kind: "41"}, "41/,": {kind: "41"},
		`42["a"]`: {kind: "42"}, `42["a",{"b":[1]},null]`: {kind: "42"}, `4212["a"]`: {kind: "42"}, `42[1]`: {kind: "42"},
		`42/,["a"]`: {kind: "42"}, "431[]": {kind: "43"}, `4312["a"]`: {kind: "43"},

		"": {}, "0": {}, "2": {}, "2x": {}, "4": {}, "7": {}, "9": {}, "11": {}, "abc": {}, " 3": {}, "3probe": {}, "66": {},
		"bAQIDBA==": {}, "4\xff": {}, "40/\xff,": {},
		"40x": {}, "40[]": {}, "401": {}, `40{"a"`: {}, "40null": {}, "41x": {}, "41/admin,": {}, "410": {},
		"42": {}, "42[]": {}, "42{}": {}, "42[{}]": {}, "42[null]": {}, `42["a"`: {}, "42null": {}, `42abc["a"]`: {},
		`42"a"`: {}, `42/admin,["a"]`: {}, "43": {}, "43[]": {}, "431": {}, "431{}": {},
		"44": {}, `44{"message":"x"}`: {}, `451-["a",{"_placeholder":true,"num":0}]`: {}, "461-1[]": {}, "47": {}, "4a": {},
	} {
		if got := parse([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"1", "2probe", `40/admin,{"a":1}`, `4212["a",1]`, "431[]", "4\x1e", "40/a\"b,", "b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := parse(data)
		switch text := string(data); p.kind {
		case "", "41", "42", "43":
		case "40":
			// The namespace is sent back.
			if !utf8.ValidString(p.namespace) || p.namespace[0] != '/' || strings.Contains(p.namespace, ",") {
				t.Errorf("%q: namespace %q", text, p.namespace)
			}
		default:
			if p.kind != text || p.namespace != "" {
				t.Errorf("%q: %+v", text, p)
			}
		}
		if p.kind != "" && p.kind[0] == '4' && !strings.HasPrefix(string(data), p.kind) {
			t.Errorf("%q: %+v", data, p)
		}
	})
}

func FuzzParseSID(f *testing.F) {
	prefix := randomID() + "." + randomID() + "."
	for _, text := range []string{prefix + "-2", prefix + "-1", prefix + "z1", prefix + "1y2p0ij32e8e7", "a.b.1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseSID(text)
		if !ok {
			return
		}
		if again, ok := parseSID(s.String()); !ok || again != s || s.total < unconnected {
			t.Errorf("%q: %+v, and from %q %+v", text, s, s, again)
		}
	})
}
