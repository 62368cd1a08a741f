package main

import "testing"

func TestNoneAtOnceAndMoreThanFitAreRefused(t *testing.T) {
	for _, text := range []string{"", "0", "-1", "65536", "many"} {
		if err := new(atMost).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if n := atMost(0); n.UnmarshalText([]byte("65535")) != nil || n != 65535 {
		t.Errorf("65535 became %d", n)
	}
}
