package servers

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestAScratchFolderStaysThoughNobodyRefersToIt(t *testing.T) {
	path, err := NewScratch("petvote-scratch-test-*")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewScratch("petvote-scratch-test-*")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
	}
	// The time that the released sweeper takes is the time to watch the first folder.
	start := time.Now()
	lifelines.Lock()
	err = lifelines.ends[len(lifelines.ends)-1].Close()
	lifelines.Unlock()
	for err == nil && time.Since(start) < 10*time.Second {
		if _, err = os.Stat(other); err == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the folder of a sweeper that was let go: %v", err)
	}
	time.Sleep(time.Since(start))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
