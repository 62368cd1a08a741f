//go:build containers

package containertest

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"petvote/infra/testenv"
)

func TestPrometheusScrapesEveryContainerOfEveryService(t *testing.T) {
	ctx := within(t, time.Minute)
	eventually(ctx, t, func() error {
		var targets struct {
			ActiveTargets []struct {
				Labels            map[string]string
				Health, LastError string
			}
		}
		if err := data(ctx, platform.prometheus+"/api/v1/targets", &targets); err != nil {
			return err
		}
		up := make(map[string]int)
		for _, target := range targets.ActiveTargets {
			if target.Health == "up" {
				up[target.Labels["job"]]++
			}
		}
		if up["vote"] != 1 || up["result"] != 1 || up["worker"] != workers || up["redis"] != 1 || up["postgres"] != 1 {
			return fmt.Errorf("targets: %+v", targets.ActiveTargets)
		}
		return nil
	})
}

// The exporters answer whether or not they reach their servers.
func TestTheExportersReachTheirServers(t *testing.T) {
	ctx := within(t, time.Minute)
	for _, metric := range []string{"redis_up", "pg_up"} {
		eventually(ctx, t, func() error {
			var answer struct{ Result []struct{ Value [2]any } }
			if err := data(ctx, platform.prometheus+"/api/v1/query?query="+metric, &answer); err != nil {
				return err
			}
			if r := answer.Result; len(r) != 1 || r[0].Value[1] != "1" {
				return fmt.Errorf("%s: %+v", metric, r)
			}
			return nil
		})
	}
}

func TestEveryRuleIsLoadedAndEvaluatesWithoutErrors(t *testing.T) {
	ctx := within(t, time.Minute)
	rules := 0
	for _, file := range testenv.Glob(t, "../../observability/prometheus/rules/*.yml") {
		text, err := os.ReadFile(file)
		testenv.Must(t, err)
		rules += bytes.Count(text, []byte("- record: ")) + bytes.Count(text, []byte("- alert: "))
	}
	eventually(ctx, t, func() error {
		var answer struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		if err := data(ctx, platform.prometheus+"/api/v1/rules", &answer); err != nil {
			return err
		}
		loaded := 0
		for _, group := range answer.Groups {
			for _, rule := range group.Rules {
				if loaded++; rule.Health != "ok" && rule.Health != "unknown" { // unknown until its first turn
					return fmt.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
				}
			}
		}
		if loaded != rules || rules == 0 {
			return fmt.Errorf("%d rules are loaded of %d", loaded, rules)
		}
		return nil
	})
}
