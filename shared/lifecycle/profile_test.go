package lifecycle

import (
	"fmt"
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
		resp, err := http.Get("http://" + addr + "/debug/pprof/mutex")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("profiles %t: status %d, want %d", profiles, resp.StatusCode, want)
		}
		http.DefaultClient.CloseIdleConnections()
		if err := cleanups.Run(time.Second); err != nil {
			t.Error(err)
		}
	}
}
