package lifecycle

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"petvote/infra/servers"
)

func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	for profiles, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		port, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		var cleanups Cleanups
		if err := ServeOps(&cleanups, addr, NewHealth(nil), http.NotFoundHandler(), profiles); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"mutex", "heap", "profile?seconds=1"} {
			resp, err := http.Get("http://" + addr + "/debug/pprof/" + name)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != want || want == http.StatusOK && !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) { // gzip
				t.Errorf("%s, profiles %t: status %d, %d bytes, %v; want %d", name, profiles, resp.StatusCode, len(body), err, want)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		if err := cleanups.Run(time.Second); err != nil {
			t.Error(err)
		}
	}
}
