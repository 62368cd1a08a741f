//go:build containers

package containertest

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// trace is a trace as Jaeger's API gives it.
type trace struct {
	TraceID   string
	Spans     []span
	Processes map[string]struct{ ServiceName string }
}

type span struct {
	SpanID, OperationName, ProcessID string
	StartTime, Duration              int64 // microseconds
	References                       []struct{ RefType, TraceID, SpanID string }
	Tags                             []tag
}

type tag struct {
	Key   string
	Value any
}

func (s span) tag(key string) any {
	for _, t := range s.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return nil
}

func (s span) kind() any { return s.tag("span.kind") }

// wellEnded reports that neither of the tags in which Jaeger reports an error does.
func (s span) wellEnded() bool { return s.tag("error") == nil && s.tag("otel.status_code") != "ERROR" }

// edges counts each span with its parent, as "service: name < parent's name"; of a span without a parent that is
// (root), and of one whose parent is in no span of the trace (missing).
func (j trace) edges() map[string]int {
	names := make(map[string]string)
	for _, s := range j.Spans {
		names[s.SpanID] = s.OperationName
	}
	edges := make(map[string]int)
	for _, s := range j.Spans {
		parent := "(root)"
		for _, r := range s.References {
			if r.RefType != "CHILD_OF" {
				continue
			}
			if name, ok := names[r.SpanID]; ok && r.TraceID == j.TraceID {
				parent = name
			} else {
				parent = "(missing)"
			}
		}
		edges[fmt.Sprintf("%s: %s < %s", j.Processes[s.ProcessID].ServiceName, s.OperationName, parent)]++
	}
	return edges
}

func (j trace) named(name string) (found []span) {
	for _, s := range j.Spans {
		if s.OperationName == name {
			found = append(found, s)
		}
	}
	return found
}

// traceAt asks a Jaeger for a trace.
func traceAt(ctx context.Context, jaeger, id string) (trace, error) {
	var found []trace
	if err := data(ctx, jaeger+"/api/traces/"+id, &found); err != nil {
		return trace{}, err
	}
	if len(found) != 1 {
		return trace{}, fmt.Errorf("%d traces have the id %s", len(found), id)
	}
	return found[0], nil
}

// tracesSince lists the ids of the traces that began since then and have a span with one of the names.
func (s *stack) tracesSince(ctx context.Context, start time.Time, names ...string) ([]string, error) {
	const most = 1000
	ids := make(map[string]bool)
	for _, service := range []string{"browser", "vote", "worker", "result"} {
		var found []trace
		query := url.Values{"service": {service}, "limit": {strconv.Itoa(most)},
			"start": {strconv.FormatInt(start.UnixMicro(), 10)}, "end": {strconv.FormatInt(time.Now().UnixMicro(), 10)}}
		if err := data(ctx, s.jaeger+"/api/traces?"+query.Encode(), &found); err != nil {
			return nil, err
		}
		if len(found) == most {
			return nil, fmt.Errorf("more than %d traces of %s", most, service)
		}
		for _, j := range found {
			if slices.ContainsFunc(names, func(name string) bool { return len(j.named(name)) > 0 }) {
				ids[j.TraceID] = true
			}
		}
	}
	return slices.Collect(maps.Keys(ids)), nil
}
