package testenv

import (
	"strconv"
	"sync"
	"sync/atomic"

	"petvote/infra/servers"
)

var (
	folders atomic.Int64
	scratch = sync.OnceValues(func() (*servers.Scratch, error) { return servers.NewScratch("petvote-test-*") })
)

// newFolder gives the path of a folder that does not exist yet, in the one folder of this test program, which is removed even if
// the test program is killed.
func newFolder() (string, error) {
	top, err := scratch()
	if err != nil {
		return "", err
	}
	return top.Join(strconv.FormatInt(folders.Add(1), 10)), nil
}
