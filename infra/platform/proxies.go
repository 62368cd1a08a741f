package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"petvote/infra/servers"
)

// Proxies stand between every service and every server, so that each edge can be disturbed alone. They lead to a relay
// in front of each server, so that the server can be replaced.
type Proxies struct {
	edges  map[string]*toxiproxy.Proxy // by name: vote-redis
	relays map[string]*servers.Relay   // by server
}

func newProxies(upstream map[string]string) (*Proxies, error) {
	p := &Proxies{edges: make(map[string]*toxiproxy.Proxy), relays: make(map[string]*servers.Relay)}
	for server, address := range upstream {
		relay, err := servers.NewRelay(address, servers.Delays{})
		if err != nil {
			p.close()
			return nil, err
		}
		p.relays[server] = relay
	}
	// The API never listens, and the zero value of its logger is silent.
	api := &toxiproxy.ApiServer{Metrics: toxiproxy.NewMetricsContainer(prometheus.NewRegistry())}
	allocate(&api.Logger)
	for _, service := range Services {
		for server, relay := range p.relays {
			edge := toxiproxy.NewProxy(api, service+"-"+server, net.JoinHostPort(servers.Loopback, "0"), relay.Addr())
			if err := edge.Start(); err != nil {
				p.close()
				return nil, fmt.Errorf("start the proxy %s: %w", edge.Name, err)
			}
			p.edges[edge.Name] = edge
		}
	}
	return p, nil
}

func allocate[T any](p **T) { *p = new(T) }

// address is where a service finds a server.
func (p *Proxies) address(service, server string) string { return p.edges[service+"-"+server].Listen }

// lead leads new connections to another server. Without proxies the services know their servers' own addresses.
func (p *Proxies) lead(server, address string) error {
	if p == nil {
		return errors.New("a platform without proxies can't replace a server")
	}
	p.relays[server].Lead(address)
	return nil
}

// Toxic is a disturbance as toxiproxy knows it: https://github.com/Shopify/toxiproxy#toxics. For little bandwidth take
// its slicer, with a delay: its bandwidth toxic writes to standard error.
type Toxic struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Stream     string         `json:"stream"` // upstream: to the server; downstream: to the client
	Attributes map[string]int `json:"attributes"`
}

// matching returns the edges from a client to a server; the client "" stands for every one. No edge is an error.
func (p *Proxies) matching(client, server string) (edges []*toxiproxy.Proxy, err error) {
	for name, edge := range p.edges {
		if c, s, _ := strings.Cut(name, "-"); s == server && (client == "" || c == client) {
			edges = append(edges, edge)
		}
	}
	if len(edges) == 0 {
		err = fmt.Errorf("no edge leads from %q to %q", client, server)
	}
	return edges, err
}

// Disturb puts toxics on the edges from a client to a server; the client "" stands for every one.
func (p *Proxies) Disturb(client, server string, toxics ...Toxic) error {
	edges, err := p.matching(client, server)
	for _, edge := range edges {
		for _, toxic := range toxics {
			text, err := json.Marshal(toxic)
			if err != nil {
				return err
			}
			if _, err := edge.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
				return fmt.Errorf("%s of %s: %w", toxic.Type, edge.Name, err)
			}
		}
	}
	return err
}

// calmLimit bounds the removal of toxics from living connections, whose other end may be gone.
const calmLimit = 2 * time.Second

// Calm removes toxics. Disturbed connections live on, except those that were cut; where that does not succeed in time,
// all connections of the edge are closed.
func (p *Proxies) Calm(ctx context.Context, client, server string, toxics ...Toxic) error {
	edges, err := p.matching(client, server)
	if err != nil {
		return err
	}
	return each(edges, func(edge *toxiproxy.Proxy) error {
		bounded, cancel := context.WithTimeout(ctx, calmLimit)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- removeToxics(bounded, edge, toxics) }()
		select {
		case err := <-done:
			return err
		case <-bounded.Done():
			edge.Stop()
			return errors.Join(<-done, edge.Start())
		}
	})
}

func removeToxics(ctx context.Context, edge *toxiproxy.Proxy, toxics []Toxic) error {
	for _, toxic := range slices.Backward(toxics) {
		if edge.Toxics.GetToxic(toxic.Name) == nil {
			continue
		}
		if err := edge.Toxics.RemoveToxic(ctx, toxic.Name); err != nil {
			return fmt.Errorf("%s of %s: %w", toxic.Type, edge.Name, err)
		}
	}
	return nil
}

func (p *Proxies) close() {
	for _, edge := range p.edges {
		edge.Stop()
	}
	for _, relay := range p.relays {
		_ = relay.Close() // an error means that its connections are gone
	}
}
