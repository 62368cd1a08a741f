package servers

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestAScratchFolderStaysThoughNobodyRefersToIt(t *testing.T) {
	path := func() string {
		s, err := NewScratch("petvote-scratch-test-*")
		if err != nil {
			t.Fatal(err)
		}
		return s.Path
	}()
	for range 10 { // a sweeper that is let go removes an empty folder within milliseconds
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
