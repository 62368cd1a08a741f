//go:build containers

package containertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"petvote/infra/containers"
	"petvote/infra/testenv"
)

func TestEveryContainerIsConfined(t *testing.T) {
	ctx := within(t, time.Minute)
	all := inspect(ctx, t)
	if len(all) != 9+workers {
		t.Fatalf("%d containers", len(all))
	}
	if c := all["migrate-1"]; c.State.Running || c.State.ExitCode != 0 || c.HostConfig.RestartPolicy.Name != "no" {
		t.Errorf("the migration has not come to its end: %+v", c)
	}
	for name, c := range all {
		t.Run(name, func(t *testing.T) { confined(ctx, t, name, c) })
	}
}

func confined(ctx context.Context, t *testing.T, name string, c containers.Container) {
	h := c.HostConfig
	if !h.ReadonlyRootfs || h.Privileged || !slices.Contains(h.CapDrop, "ALL") || len(h.CapAdd) > 0 ||
		!slices.Contains(h.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("not confined: %+v", h)
	}
	if h.Memory == 0 || h.PidsLimit < 512 { // a Go program starts a thread for each CPU, and more
		t.Errorf("memory bound %d, processes %d", h.Memory, h.PidsLimit)
	}
	if name == "migrate-1" {
		return
	}
	if h.RestartPolicy.Name != "unless-stopped" {
		t.Errorf("restart policy %q", h.RestartPolicy.Name)
	}
	users := docker(ctx, t, "top", c.ID, "-eo", "pid,uid")
	for _, line := range strings.Split(users, "\n")[1:] {
		if f := strings.Fields(line); len(f) != 2 || f[1] == "0" {
			t.Errorf("a process runs as root: %q", line)
		}
	}
}

func TestOnlyThePagesArePublishedAndOnlyToThisMachine(t *testing.T) {
	ctx := within(t, time.Minute)
	published := map[string]string{"vote-1": "8084/tcp", "result-1": "8085/tcp", "jaeger-1": "16686/tcp",
		"prometheus-1": "9090/tcp"}
	for name, c := range inspect(ctx, t) {
		if c.HostConfig.PublishAllPorts {
			t.Errorf("%s publishes all its ports", name)
		}
		for port, bindings := range c.HostConfig.PortBindings {
			for _, b := range bindings {
				if port != published[name] || b.HostIP != "127.0.0.1" {
					t.Errorf("%s publishes %s on %s", name, port, b.HostIP)
				}
			}
		}
		_, inside := c.NetworkSettings.Networks[project+"_backend"]
		if _, outside := c.NetworkSettings.Networks[project+"_frontend"]; !inside || outside != (published[name] != "") {
			t.Errorf("%s is on the networks %v", name, c.NetworkSettings.Networks)
		}
	}
	if is := docker(ctx, t, "network", "inspect", "--format", "{{.Internal}}", project+"_backend"); is != "true" {
		t.Errorf("backend network internal: %q", is)
	}
	// What is not masqueraded gets no answer from the internet.
	const masquerade = `{{index .Options "com.docker.network.bridge.enable_ip_masquerade"}}`
	if is := docker(ctx, t, "network", "inspect", "--format", masquerade, project+"_frontend"); is != "false" {
		t.Errorf("frontend network masqueraded: %q", is)
	}
}

func TestTheServicesAreSmall(t *testing.T) {
	ctx := within(t, time.Minute)
	const maxImage, maxMemory = 26e6, 75 << 20 // of each image; of one of each service together, idle
	var memory float64
	for _, service := range []string{"vote", "result", "worker"} {
		size := docker(ctx, t, "image", "inspect", "--format", "{{.Size}}", project+"-"+service)
		n, err := strconv.Atoi(size)
		if err != nil || n == 0 || n > maxImage {
			t.Errorf("the image of %s has %s bytes, more than %d: %v", service, size, int(maxImage), err)
		}
		usage := docker(ctx, t, "stats", "--no-stream", "--format", "{{.MemUsage}}", project+"-"+service+"-1")
		used, _, _ := strings.Cut(usage, " / ") // "7.1MiB / 128MiB"
		bytes, err := parseBytes(used)
		testenv.Must(t, err)
		memory += bytes
		t.Logf("%s: image %.1f MB, memory %s", service, float64(n)/1e6, usage)
	}
	if memory == 0 || memory > maxMemory {
		t.Errorf("the services take %.1f MiB together, more than %d", memory/(1<<20), maxMemory>>20)
	}
}

func parseBytes(text string) (float64, error) {
	for unit, factor := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseFloat(number, 64)
			return n * factor, err
		}
	}
	return 0, fmt.Errorf("%q: unknown unit", text)
}
