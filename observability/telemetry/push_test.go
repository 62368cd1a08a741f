package telemetry

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"petvote/infra/testenv"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
)

func refresh(t *testing.T, tel *Telemetry, next RefreshFunc, traces ...tracecontext.TraceContext) error {
	t.Helper()
	return must(tel.Refresher(next)).Refresh(t.Context(), votestore.Notice{Traces: traces})
}

func TestAPushIsSeenInTheTraceOfEachVoteBehindIt(t *testing.T) {
	tel, spans := recording(t)
	listener := must(tel.PolicyListener())
	var handedOn []string
	err := refresh(t, tel, func(ctx context.Context, n votestore.Notice) error {
		for _, tc := range n.Traces {
			handedOn = append(handedOn, tc.Parent)
		}
		listener.Retry(ctx, "postgres", 1, errUnavailable, time.Second)
		return nil
	}, recordedA, recordedB)
	testenv.Must(t, err)
	batch := spans.only(t, "push batch")
	if batch.Parent().IsValid() || !slices.Equal(links(batch), []string{recordedA.Parent, recordedB.Parent}) {
		t.Errorf("the batch's parent is %v, its links %v", batch.Parent(), links(batch))
	}
	var pushes []string
	for _, span := range spans.named("push results") {
		pushes = append(pushes, contextOf(span.SpanContext()))
		if span.SpanKind() != trace.SpanKindConsumer || span.Status().Code != codes.Unset ||
			!slices.Equal(events(span), []string{"retry"}) {
			t.Errorf("kind %v, status %v, events %v", span.SpanKind(), span.Status(), events(span))
		}
		if !slices.Equal(links(span), []string{contextOf(batch.SpanContext())}) {
			t.Errorf("a push is linked to %v", links(span))
		}
	}
	if slices.Sort(pushes); !slices.Equal(pushes, handedOn) {
		t.Errorf("handed on %v, want the pushes' own contexts %v", handedOn, pushes)
	}
	if parents := spans.parents("push results"); len(spans.Ended()) != 3 || !maps.Equal(parents, bothParents) {
		t.Errorf("%d spans, with parents %v", len(spans.Ended()), parents)
	}
}

func TestAPushThatFailedIsAFailureInTheTrace(t *testing.T) {
	tel, spans := recording(t)
	err := refresh(t, tel, func(context.Context, votestore.Notice) error { return errUnavailable }, recordedA)
	if span := spans.only(t, "push results"); !errors.Is(err, errUnavailable) || span.Status().Code != codes.Error {
		t.Errorf("err = %v, status %v", err, span.Status())
	}
}

func TestTheTimeToTheScreenIsThatOfAPushesOldestVote(t *testing.T) {
	tel := started(t)
	err := errUnavailable
	r := must(tel.Refresher(func(context.Context, votestore.Notice) error { return err }))
	n := votestore.Notice{Oldest: time.Now().Add(-90 * time.Millisecond)}
	if got := r.Refresh(t.Context(), n); !errors.Is(got, errUnavailable) {
		t.Fatal(got)
	}
	err = nil
	if got := errors.Join(r.Refresh(t.Context(), n), r.Refresh(t.Context(), votestore.Notice{})); got != nil {
		t.Fatal(got)
	}
	wantMetric(t, tel, `petvote_vote_to_screen_seconds_count 1`, `petvote_vote_to_screen_seconds_bucket{le="0.05"} 0`)
}

func TestAPushWithoutSampledVotesIsOnlyMeasured(t *testing.T) {
	tel, spans := recording(t)
	quiet := func(context.Context, votestore.Notice) error { return nil }
	err := errors.Join(refresh(t, tel, quiet), refresh(t, tel, quiet, unrecorded))
	if err != nil || len(spans.Ended()) > 0 {
		t.Errorf("%d spans, %v", len(spans.Ended()), err)
	}
	wantMetric(t, tel, `petvote_push_duration_seconds_count 2`)
}
