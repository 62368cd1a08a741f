//go:build containers

package containertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"petvote/observability/prometheus"
)

func TestOneVoteIsOneTraceInJaeger(t *testing.T) {
	ctx := within(t, time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, platform.vote+"/vote", strings.NewReader(`{"pet":"lizards"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status  string
		TraceID string `json:"trace_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%+v, %v", answer, err)
	}
	eventually(ctx, t, 20*time.Second, func() error {
		var found struct{ Data []jaegerTrace }
		if err := fetch(ctx, platform.jaeger+"/api/traces/"+answer.TraceID, &found); err != nil {
			return err
		}
		edges := found.Data[0].edges()
		for _, edge := range []string{
			"vote: POST /vote < none",
			"vote: publish votes < POST /vote",
			"worker: process votes < publish votes",
			"worker: store votes < process votes",
			"result: push results < process votes",
		} {
			if !edges[edge] {
				return fmt.Errorf("no %q in %v", edge, edges)
			}
		}
		return nil
	})
}

// jaegerTrace is a trace as Jaeger's API gives it.
type jaegerTrace struct {
	Spans []struct {
		SpanID, OperationName, ProcessID string
		References                       []struct{ RefType, SpanID string }
	}
	Processes map[string]struct{ ServiceName string }
}

// edges tells each span with its parent, as "service: name < parent's name".
func (j jaegerTrace) edges() map[string]bool {
	names := make(map[string]string)
	for _, s := range j.Spans {
		names[s.SpanID] = s.OperationName
	}
	edges := make(map[string]bool)
	for _, s := range j.Spans {
		parent := "none"
		for _, r := range s.References {
			if r.RefType == "CHILD_OF" {
				parent = names[r.SpanID]
			}
		}
		edges[fmt.Sprintf("%s: %s < %s", j.Processes[s.ProcessID].ServiceName, s.OperationName, parent)] = true
	}
	return edges
}

func TestPrometheusScrapesEveryContainerOfEveryService(t *testing.T) {
	ctx := within(t, time.Minute)
	eventually(ctx, t, 30*time.Second, func() error {
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}
		if err := fetch(ctx, platform.prometheus+"/api/v1/targets", &answer); err != nil {
			return err
		}
		up := make(map[string]int)
		for _, target := range answer.Data.ActiveTargets {
			if target.Health == "up" {
				up[target.Labels["job"]]++
			}
		}
		if up["vote"] != 1 || up["result"] != 1 || up["worker"] != workers || up["redis"] != 1 || up["postgres"] != 1 {
			return fmt.Errorf("targets: %+v", answer.Data.ActiveTargets)
		}
		return nil
	})
}

// The exporters answer whether or not they reach their servers.
func TestTheExportersReachTheirServers(t *testing.T) {
	ctx := within(t, time.Minute)
	for _, metric := range []string{"redis_up", "pg_up"} {
		eventually(ctx, t, 30*time.Second, func() error {
			var answer struct {
				Data struct{ Result []struct{ Value [2]any } }
			}
			if err := fetch(ctx, platform.prometheus+"/api/v1/query?query="+metric, &answer); err != nil {
				return err
			}
			if r := answer.Data.Result; len(r) != 1 || r[0].Value[1] != "1" {
				return fmt.Errorf("%s: %+v", metric, r)
			}
			return nil
		})
	}
}

func TestEveryRuleIsLoadedAndEvaluatesWithoutErrors(t *testing.T) {
	ctx := within(t, time.Minute)
	rules, err := prometheus.Rules("../../observability/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, 30*time.Second, func() error {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		if err := fetch(ctx, platform.prometheus+"/api/v1/rules", &answer); err != nil {
			return err
		}
		loaded := 0
		for _, group := range answer.Data.Groups {
			for _, rule := range group.Rules {
				if loaded++; rule.Health != "ok" && rule.Health != "unknown" { // unknown until its first turn
					return fmt.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
				}
			}
		}
		if loaded != len(rules) {
			return fmt.Errorf("%d rules are loaded of %d", loaded, len(rules))
		}
		return nil
	})
}
