package local

import (
	"fmt"
	"strings"
)

// summary is what a person needs once the platform is ready.
func summary(cfg Config, home *folder, parts []Part) string {
	var processes []string
	for _, part := range parts {
		processes = append(processes, fmt.Sprintf("%s %d", part.Name, part.Program.PID()))
	}
	return fmt.Sprintf(`
petvote is ready

  vote        %s
  results     %s
  metrics     %s (vote)  %s (worker)  %s (result)
              /healthz and /readyz are there too
  by hand     curl -H 'Content-Type: application/json' -d '{"pet":"dogs"}' %s
  processes   %s
              kill -9 any of them: it is started again, and no accepted vote is lost
  data        %s
  stop        Ctrl-C

`,
		endpoint(cfg.Ports.Vote, ""), endpoint(cfg.Ports.Result, ""),
		endpoint(cfg.Ports.VoteOps, "/metrics"), endpoint(cfg.Ports.WorkerOps, "/metrics"), endpoint(cfg.Ports.ResultOps, "/metrics"),
		endpoint(cfg.Ports.Vote, "/vote"), strings.Join(processes, "  "), home.path)
}
