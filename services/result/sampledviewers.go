package main

import (
	"encoding/json"

	"petvote/shared/tracecontext"
)

// A push that belongs to recorded traces has witnesses: a few of the viewers, who are told its traces behind the tally and
// report when they have drawn it. All of 10,000 pages reporting each push would be a flood, and one page in the background
// draws nothing.
const (
	witnessEvent = "push_traces"
	maxWitnesses = 3 // of one push
	maxWitnessed = 8 // traces told with one frame
)

// witnessed is the frame for a witness, who may still owe a report of earlier pushes.
func (f *frame) witnessed(parents []string) *frame {
	parents = parents[:min(len(parents), maxWitnessed)]
	data, err := json.Marshal(parents)
	if err != nil || len(parents) == 0 {
		return f
	}
	told := *f
	told.parents = parents
	told.sse = append(told.sse[:len(told.sse):len(told.sse)], "event: "+witnessEvent+"\ndata: "+string(data)+"\n\n"...)
	return &told
}

func parentsOf(traces []tracecontext.TraceContext) []string {
	var parents []string
	for _, t := range traces {
		if t.Sampled() && len(parents) < maxWitnessed {
			parents = append(parents, t.Parent)
		}
	}
	return parents
}
