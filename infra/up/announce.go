package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"petvote/infra/platform"
	"petvote/infra/wait"
)

// page is something the stack publishes for a browser.
type page struct {
	title, service, port string // the port inside the container
}

var (
	pages = []page{{"vote", "vote", "8084"}, {"results", "result", "8085"}}
	tools = []page{{"traces", "jaeger", "16686"}, {"metrics", "prometheus", "9090"}, {"dashboards", "grafana", "3000"}}
)

// announce waits until the pages are ready and then prints where everything is; it gives up when ctx is done. Until the images
// are built nothing is published, so it may take minutes.
func (c compose) announce(ctx context.Context) {
	for {
		ready := make(map[string]string)
		for _, p := range pages {
			if address, ok := c.published(ctx, p); ok {
				ready[p.service] = address + "/readyz"
			}
		}
		if len(ready) == len(pages) && answers(ctx, ready) {
			break
		}
		if wait.For(ctx, time.Second) != nil {
			return
		}
	}
	lines := []string{"", "petvote is ready (Ctrl-C stops it; the votes are kept)", ""}
	for _, p := range append(pages, tools...) {
		if address, ok := c.published(ctx, p); ok {
			lines = append(lines, fmt.Sprintf("  %-12s%s", p.title, address))
		}
	}
	if address, ok := c.published(ctx, tools[0]); ok {
		lines = append(lines, "", "  To see a trace: vote, and follow the link Trace below the vote's journey; or look for the service",
			"  vote at "+address+". Spans arrive after a second or two.")
	}
	fmt.Println(strings.Join(append(lines, ""), "\n"))
}

// answers says whether every address answers with status 200.
func answers(ctx context.Context, addresses map[string]string) bool {
	for _, address := range addresses {
		if platform.Probe(ctx, address) != nil {
			return false
		}
	}
	return true
}

// published gives the address at which this machine reaches a page; it has none until its container runs.
func (c compose) published(ctx context.Context, p page) (string, bool) {
	args := append(append([]string{"compose"}, composeFiles...), "port", p.service, p.port)
	cmd := exec.CommandContext(ctx, c.docker, args...)
	cmd.Dir, cmd.Env = c.source, c.environ
	out, err := cmd.Output()
	if err != nil {
		return "", false
	}
	_, port, err := net.SplitHostPort(strings.TrimSpace(string(out)))
	if err != nil || port == "0" {
		return "", false
	}
	return "http://localhost:" + port, true
}
