package testenv

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Missing ends a test that lacks a program, named as for ./infra/packages/install. The test fails, since one that skips
// proves nothing, except where PETVOTE_MISSING says that the program can't be had on this machine.
func Missing(t testing.TB, program string) {
	t.Helper()
	if slices.Contains(strings.Fields(os.Getenv("PETVOTE_MISSING")), program) {
		t.Skipf("%s can't be had on this machine (PETVOTE_MISSING)", program)
	}
	t.Fatalf("%s is not installed: ./infra/packages/install %s does it, or says how", program, program)
}
