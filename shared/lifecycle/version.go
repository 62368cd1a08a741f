package lifecycle

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
)

// version and revision are set by the linker in builds that Go can't stamp, such as the images':
//
//	go build -ldflags='-X petvote/shared/lifecycle.version=v1.2.0 -X petvote/shared/lifecycle.revision=0f3c…'
var version, revision string

// Build identifies the source of the running program.
type Build struct {
	Version  string // the tag, or "devel" without one, as with go run
	Revision string // the commit, with "-dirty" if the source differed, or "unknown"
	Go       string
}

// ThisBuild returns what the linker set, else Go's own stamp.
func ThisBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(version, revision, info)
}

func buildOf(version, revision string, info *debug.BuildInfo) Build {
	var stamped, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			stamped = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if stamped != "" {
		stamped += dirty
	}
	if info.Main.Version != "(devel)" {
		version = cmp.Or(version, info.Main.Version)
	}
	return Build{cmp.Or(version, "devel"), cmp.Or(revision, stamped, "unknown"), runtime.Version()}
}

func (b Build) String() string {
	return fmt.Sprintf("%s (revision %s, %s, %s/%s)", b.Version, b.Revision, b.Go, runtime.GOOS, runtime.GOARCH)
}

// PrintVersion prints the program's version if the arguments ask for it; it reports whether they do.
func PrintVersion(out io.Writer, program string, args []string) bool {
	asked := len(args) == 1 && slices.Contains([]string{"version", "--version", "-version"}, args[0])
	if asked {
		fmt.Fprintln(out, program, ThisBuild())
	}
	return asked
}
