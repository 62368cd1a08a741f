package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/ballot"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

// record passes a vote for each trace through the decorator, cast two seconds ago.
func record(t *testing.T, tel *Telemetry, next RecordFunc, traces ...tracecontext.TraceContext) error {
	t.Helper()
	entries := make([]votestore.Entry, len(traces))
	for i, tc := range traces {
		entries[i] = votestore.Entry{EntryID: fmt.Sprint(i), Trace: tc,
			Vote: ballot.Vote{ID: uuid.New(), Pet: ballot.Dogs, CastAt: time.Now().Add(-2 * time.Second)}}
	}
	_, err := must(tel.Recorder(next)).Record(t.Context(), entries)
	return err
}

func TestStoringIsSeenInTheTraceOfEachRecordedVote(t *testing.T) {
	tel, spans := recording(t)
	err := record(t, tel, func(ctx context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
		if entries[0].Trace != recordedA || entries[1].Trace != unrecorded || entries[2].Trace != recordedB {
			t.Errorf("the entries' traces are not the votes' own: %+v", entries)
		}
		return votestore.Outcome{Stored: 3}, nil
	}, recordedA, unrecorded, recordedB)
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range spans.named("store votes") {
		if span.SpanKind() != trace.SpanKindClient || attributeOf(span.Attributes(), "db.operation.batch.size") != "3" ||
			attributeOf(span.Attributes(), "db.system.name") != "postgresql" {
			t.Errorf("kind %v, attributes %v", span.SpanKind(), span.Attributes())
		}
	}
	if parents := spans.parents("store votes"); len(spans.Ended()) != 2 || !maps.Equal(parents, bothParents) {
		t.Errorf("%d spans, with parents %v", len(spans.Ended()), parents)
	}
}

// The statements of one vote are children of its span; those of a batch belong to no trace.
func TestOnlyASingleVotesStatementsAreInItsTrace(t *testing.T) {
	tel, spans := recording(t)
	var inside trace.SpanContext
	look := func(ctx context.Context, _ []votestore.Entry) (votestore.Outcome, error) {
		inside = trace.SpanContextFromContext(ctx)
		return votestore.Outcome{}, nil
	}
	if err := record(t, tel, look, recordedA); err != nil || !inside.Equal(spans.only(t, "store votes").SpanContext()) {
		t.Errorf("one vote: %v, %v", inside, err)
	}
	if err := record(t, tel, look, recordedA, recordedB); err != nil || inside.IsValid() {
		t.Errorf("two votes: %v, %v", inside, err)
	}
}

func TestVotesAreCountedByOutcome(t *testing.T) {
	tel, spans := recording(t)
	err := record(t, tel, func(context.Context, []votestore.Entry) (votestore.Outcome, error) {
		return votestore.Outcome{Stored: 3, Duplicates: 2, Redelivered: 1}, nil
	}, make([]tracecontext.TraceContext, 6)...)
	if err != nil || len(spans.Started()) > 0 {
		t.Errorf("%v, %d spans of votes that are not recorded", err, len(spans.Started()))
	}
	wantMetric(t, tel, `petvote_votes_total{outcome="stored"} 3`, `petvote_votes_total{outcome="duplicate"} 2`,
		`petvote_votes_total{outcome="redelivered"} 1`, `petvote_store_duration_seconds_count 1`,
		`petvote_vote_to_stored_seconds_bucket{le="1"} 0`, `petvote_vote_to_stored_seconds_bucket{le="5"} 6`)
}

func TestAFailureToStoreMarksEverySpanAndCountsNoVote(t *testing.T) {
	tel, spans := recording(t)
	err := record(t, tel, func(context.Context, []votestore.Entry) (votestore.Outcome, error) {
		return votestore.Outcome{}, errAway
	}, recordedA, recordedB)
	if !errors.Is(err, errAway) || len(spans.Ended()) != 2 {
		t.Errorf("err = %v, %d spans", err, len(spans.Ended()))
	}
	for _, span := range spans.Ended() {
		if span.Status().Code != codes.Error {
			t.Errorf("status %v", span.Status())
		}
	}
	if counted := scrape(t, tel, "petvote_votes_total"); len(counted) > 0 {
		t.Errorf("counted %v", counted)
	}
	wantMetric(t, tel, `petvote_store_duration_seconds_count 1`)
}
