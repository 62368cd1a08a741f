package web

import (
	"testing"
	"time"
)

func TestATimeIsLeftOutThatTheClocksContradict(t *testing.T) {
	now := time.Now()
	for apart, want := range map[time.Duration]string{
		-time.Second: "", -900 * time.Microsecond: "0 ms", 1500 * time.Millisecond: "1500 ms", 90 * time.Second: "90 s",
		5 * time.Minute: "5 min", 3 * time.Hour: "3 h",
	} {
		if got := After(now, now.Add(apart)); got != want {
			t.Errorf("%v: %q, want %q", apart, got, want)
		}
	}
	if After(time.Time{}, now) != "" || After(now, time.Time{}) != "" {
		t.Error("a time that isn't known is given")
	}
}
