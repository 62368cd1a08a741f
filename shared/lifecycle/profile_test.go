package lifecycle

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"petvote/infra/servers"
	"petvote/shared/config"
)

func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	for profiles, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		port, err := servers.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		cfg := config.Service{Host: "127.0.0.1", OpsPort: config.Port(port), Pprof: profiles}
		var cleanups Cleanups
		if err := ServeOps(&cleanups, cfg, NewHealth(nil), http.NotFoundHandler()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"mutex", "heap", "profile?seconds=1"} {
			resp, err := http.Get("http://" + cfg.OpsPort.On(cfg.Host) + "/debug/pprof/" + name)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			gzipped := bytes.HasPrefix(body, []byte{0x1f, 0x8b})
			if err != nil || resp.StatusCode != want || gzipped != profiles {
				t.Errorf("%s, profiles %t: status %d, %d bytes, %v; want %d", name, profiles, resp.StatusCode, len(body), err, want)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		if err := cleanups.Run(); err != nil {
			t.Error(err)
		}
	}
}
