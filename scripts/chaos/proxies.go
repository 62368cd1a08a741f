package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"petvote/infra/servers"
)

// proxies stand between every service and every server, so that each edge can be disturbed by itself.
type proxies struct {
	edges map[string]*toxiproxy.Proxy // by name: vote-redis
}

func newProxies(upstream map[string]string) (*proxies, error) {
	p := &proxies{edges: make(map[string]*toxiproxy.Proxy)}
	zerolog.SetGlobalLevel(zerolog.Disabled)                                                           // some of it goes to a logger that belongs to nobody
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()) // never listens
	for _, service := range services {
		for server, address := range upstream {
			edge := toxiproxy.NewProxy(api, service+"-"+server, net.JoinHostPort(servers.Loopback, "0"), address)
			if err := edge.Start(); err != nil {
				p.close()
				return nil, fmt.Errorf("start the proxy %s: %w", edge.Name, err)
			}
			p.edges[edge.Name] = edge
		}
	}
	return p, nil
}

// address is where a service finds a server.
func (p *proxies) address(service, server string) (host, port string) {
	host, port, err := net.SplitHostPort(p.edges[service+"-"+server].Listen)
	if err != nil {
		return "", "" // a listening proxy has an address
	}
	return host, port
}

// of are the edges that a fault is about.
func (p *proxies) of(f fault) []*toxiproxy.Proxy {
	client, server := f.edge()
	var edges []*toxiproxy.Proxy
	for name, edge := range p.edges {
		if c, s, _ := strings.Cut(name, "-"); s == server && (client == "" || c == client) {
			edges = append(edges, edge)
		}
	}
	return edges
}

// toxic is what toxiproxy is told.
type toxic struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // upstream: to the server; downstream: to the client
	Attributes map[string]int `json:"attributes"`
}

// toxics of a fault. Latency is put on the answers alone, so that a round trip takes as much longer as the fault says.
func toxics(f fault) []toxic {
	var list []toxic
	add := func(kind string, attributes map[string]int, streams ...string) {
		for _, stream := range streams {
			list = append(list, toxic{string(f.Kind) + "-" + stream, kind, stream, attributes})
		}
	}
	const up, down = "upstream", "downstream"
	switch f.Kind {
	case cut:
		add("timeout", map[string]int{"timeout": 0}, up, down)
	case slow:
		add("latency", map[string]int{"latency": f.N}, down)
	case jitter:
		add("latency", map[string]int{"latency": f.N, "jitter": f.N}, down)
	case reset:
		add("reset_peer", map[string]int{"timeout": f.N}, down)
	case linger:
		add("slow_close", map[string]int{"delay": f.N}, up, down)
	case trickle:
		add("bandwidth", map[string]int{"rate": f.N}, up, down) // KB/s
	}
	return list
}

func (p *proxies) disturb(f fault) error {
	for _, edge := range p.of(f) {
		for _, tx := range toxics(f) {
			text, err := json.Marshal(tx)
			if err != nil {
				return err
			}
			if _, err := edge.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
				return fmt.Errorf("%s of %s: %w", tx.Type, edge.Name, err)
			}
		}
	}
	return nil
}

// calmLimit bounds the removal of a disturbance from living connections. Some of them may have nobody at the other end any more.
const calmLimit = 2 * time.Second

// calm takes a fault's toxics away. Connections that were disturbed live on, but for those that were cut; where they can't be
// freed of it, all of the edge are closed.
func (p *proxies) calm(ctx context.Context, f fault) error {
	edges := p.of(f)
	errs := make([]error, len(edges))
	var calming sync.WaitGroup
	for i, edge := range edges {
		calming.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, calmLimit)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- removeToxics(bounded, edge, toxics(f)) }()
			select {
			case errs[i] = <-done:
			case <-bounded.Done():
				edge.Stop()
				errs[i] = errors.Join(<-done, edge.Start())
			}
		})
	}
	calming.Wait()
	return errors.Join(errs...)
}

func removeToxics(ctx context.Context, edge *toxiproxy.Proxy, list []toxic) error {
	for _, tx := range slices.Backward(list) {
		if edge.Toxics.GetToxic(tx.Name) == nil {
			continue
		}
		if err := edge.Toxics.RemoveToxic(ctx, tx.Name); err != nil {
			return fmt.Errorf("%s of %s: %w", tx.Type, edge.Name, err)
		}
	}
	return nil
}

func (p *proxies) close() {
	for _, edge := range p.edges {
		edge.Stop()
	}
}
