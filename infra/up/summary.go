package main

import (
	"fmt"
	"strings"
)

// summary is what a person needs once the platform is ready.
func summary(ports *Ports, data string, parts []Part) string {
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
		endpoint(ports.Vote, ""), endpoint(ports.Result, ""),
		endpoint(ports.VoteOps, "/metrics"), endpoint(ports.WorkerOps, "/metrics"), endpoint(ports.ResultOps, "/metrics"),
		endpoint(ports.Vote, "/vote"), strings.Join(processes, "  "), data)
}

func endpoint(p Port, path string) string {
	return fmt.Sprintf("http://localhost:%d%s", p.Number, path)
}
