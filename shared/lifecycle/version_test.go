package lifecycle

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestTheVersionIsWhatTheLinkerWasToldElseGosStamp(t *testing.T) {
	stamp := func(version, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.modified", Value: modified}, {Key: "vcs.revision", Value: "0f3c"},
		}}
	}
	unstamped := debug.Module{Version: "(devel)"}
	for name, c := range map[string]struct {
		version, revision string
		info              *debug.BuildInfo
		want              Build
	}{
		"told":                 {"v1.2.0", "ab12", stamp("v0.9.0", "true"), Build{"v1.2.0", "ab12", ""}},
		"a clean checkout":     {"", "", stamp("v1.1.0", "false"), Build{"v1.1.0", "0f3c", ""}},
		"a changed checkout":   {"", "", stamp("v1.1.0+dirty", "true"), Build{"v1.1.0+dirty", "0f3c-dirty", ""}},
		"go run":               {"", "", &debug.BuildInfo{Main: unstamped}, Build{"devel", "unknown", ""}},
		"no build info at all": {"", "", &debug.BuildInfo{}, Build{"devel", "unknown", ""}},
	} {
		c.want.Go = runtime.Version()
		if got := buildOf(c.version, c.revision, c.info); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheVersionIsPrintedIfAskedFor(t *testing.T) {
	line := "vote " + ThisBuild().String() + "\n"
	for args, want := range map[string]string{"": "", "health": "", "version": line, "--version": line, "version x": ""} {
		var out strings.Builder
		if asked := PrintVersion(&out, "vote", strings.Fields(args)); asked != (want != "") || out.String() != want {
			t.Errorf("%q: %v, printed %q, want %q", args, asked, out.String(), want)
		}
	}
}
