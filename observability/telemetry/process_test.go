package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sony/gobreaker"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/tracecontext"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

// process passes a batch through the decorator, within an unsampled trace that is not the votes' own.
func process(t *testing.T, tel *Telemetry, batch []votestream.Delivery, step ProcessFunc) error {
	t.Helper()
	return must(tel.Processor(step, false))(extract(t.Context(), unrecorded), batch)
}

// deliveries returns a delivery for each trace, added to the stream a second ago.
func deliveries(traces ...tracecontext.TraceContext) []votestream.Delivery {
	batch := make([]votestream.Delivery, len(traces))
	for i, tc := range traces {
		vote := ballot.Vote{ID: uuid.New(), Pet: ballot.Cats, CastAt: time.Now()}
		batch[i] = votestream.Delivery{Queue: "1", EntryID: fmt.Sprintf("%d-%d", time.Now().Add(-time.Second).UnixMilli(), i),
			Deliveries: 1, Message: votestream.Message{Trace: tc, Vote: vote}}
	}
	return batch
}

func nothing(context.Context, []votestream.Delivery) error { return nil }

func TestASingleVoteIsProcessedInItsOwnTrace(t *testing.T) {
	tel, spans := recording(t)
	batch := deliveries(recordedA)
	var inside trace.SpanContext
	err := process(t, tel, batch, func(ctx context.Context, _ []votestream.Delivery) error {
		inside = trace.SpanContextFromContext(ctx)
		return nil
	})
	testenv.Must(t, err)
	span := spans.only(t, "process votes")
	if parents := spans.parents("process votes"); span.SpanKind() != trace.SpanKindConsumer || parents[traceA] != parentA {
		t.Errorf("kind %v, parents %v", span.SpanKind(), parents)
	}
	if len(spans.named("process batch")) > 0 || len(span.Links()) > 0 {
		t.Errorf("one vote has a batch: links %v", span.Links())
	}
	if !inside.Equal(span.SpanContext()) || batch[0].Message.Trace.Parent != contextOf(span.SpanContext()) {
		t.Errorf("its successor would continue %s", batch[0].Message.Trace.Parent)
	}
	attrs := span.Attributes()
	if attributeOf(attrs, "messaging.message.id") != batch[0].Message.Vote.ID.String() ||
		attributeOf(attrs, "petvote.entry.id") != batch[0].EntryID ||
		attributeOf(attrs, "messaging.destination.partition.id") != "1" {
		t.Errorf("attributes %v", attrs)
	}
	var wait float64
	if _, err := fmt.Sscan(attributeOf(attrs, "petvote.queue.wait_s"), &wait); err != nil || wait < 1 || wait > 60 {
		t.Errorf("waited %v s, %v", wait, err)
	}
}

func TestABatchAndItsVotesLinkToEachOther(t *testing.T) {
	tel, spans := recording(t)
	batch := deliveries(recordedA, unrecorded, recordedB)
	testenv.Must(t, process(t, tel, batch, nothing))
	whole, votes := spans.only(t, "process batch"), spans.named("process votes")
	if whole.Parent().IsValid() || attributeOf(whole.Attributes(), "messaging.batch.message_count") != "3" {
		t.Errorf("the batch's parent %v, attributes %v", whole.Parent(), whole.Attributes())
	}
	if got := links(whole); !slices.Equal(got, []string{recordedA.Parent, recordedB.Parent}) {
		t.Errorf("the batch is linked to %v", got)
	}
	for _, v := range votes {
		if !slices.Equal(links(v), []string{contextOf(whole.SpanContext())}) {
			t.Errorf("a vote is linked to %v", links(v))
		}
	}
	if parents := spans.parents("process votes"); len(votes) != 2 || !maps.Equal(parents, bothParents) {
		t.Errorf("%d votes have spans, with parents %v", len(votes), parents)
	}
	if batch[1].Message.Trace != unrecorded || batch[0].Message.Trace.TraceID() != traceA ||
		batch[0].Message.Trace == recordedA {
		t.Errorf("handed on: %+v, %+v", batch[0].Message.Trace, batch[1].Message.Trace)
	}
}

func TestUnsampledVotesHaveNoSpans(t *testing.T) {
	tel, spans := recording(t)
	batch := deliveries(unrecorded, tracecontext.TraceContext{}, tracecontext.TraceContext{Parent: "junk"})
	testenv.Must(t, process(t, tel, batch, nothing))
	if len(spans.Started()) > 0 || batch[0].Message.Trace != unrecorded {
		t.Errorf("%d spans, handed on %+v", len(spans.Started()), batch[0].Message.Trace)
	}
	wantMetric(t, tel, `petvote_batch_size_sum 3`,
		`petvote_queue_wait_seconds_count{messaging_destination_partition_id="1"} 3`, processed+`} 1`)
}

// processed is the count of the batches of queue 1, but for the last brace.
const processed = `messaging_process_duration_seconds_count{messaging_consumer_group_name="workers",` +
	`messaging_destination_name="votes",messaging_destination_partition_id="1",messaging_operation_name="process",` +
	`messaging_system="redis"`

func TestAFailedBatchIsSeenInEverySpanOfIt(t *testing.T) {
	tel, spans := recording(t)
	fail := func(context.Context, []votestream.Delivery) error { return errUnavailable }
	err := process(t, tel, deliveries(recordedA, recordedB), fail)
	if n := len(spans.Ended()); n != 3 || !errors.Is(err, errUnavailable) {
		t.Errorf("err = %v, %d spans, want the batch's and one for each vote", err, n)
	}
	for _, span := range spans.Ended() {
		if s := span.Status(); s.Code != codes.Error || s.Description != errUnavailable.Error() {
			t.Errorf("%s: status %v", span.Name(), s)
		}
	}
	wantMetric(t, tel, strings.Replace(processed, "{", `{error_type="_OTHER",`, 1)+`} 1`)
}

func TestRedeliveriesAreEventsAndCounted(t *testing.T) {
	tel, spans := recording(t)
	batch := deliveries(recordedA, recordedB, unrecorded)
	batch[0].Deliveries, batch[2].Deliveries = 3, 2
	testenv.Must(t, process(t, tel, batch, nothing))
	for _, span := range spans.named("process votes") {
		again := span.SpanContext().TraceID().String() == traceA
		if slices.Contains(events(span), "redelivered") != again {
			t.Errorf("trace %v: events %v", span.SpanContext().TraceID(), events(span))
		}
		if again && attributeOf(span.Events()[0].Attributes, "petvote.deliveries") != "3" {
			t.Errorf("event %v", span.Events()[0])
		}
	}
	wantMetric(t, tel, `petvote_redeliveries_total 2`)
}

func TestRetriesAndBreakersAreEventsInEveryVotesTrace(t *testing.T) {
	for name, traces := range map[string][]tracecontext.TraceContext{
		"one vote": {recordedA}, "a batch": {recordedA, unrecorded, recordedB},
	} {
		tel, spans := recording(t)
		listener := must(tel.PolicyListener())
		err := process(t, tel, deliveries(traces...), func(ctx context.Context, _ []votestream.Delivery) error {
			listener.Attempt(ctx, "postgres", time.Second, errUnavailable)
			listener.Retry(ctx, "postgres", 1, errUnavailable, 50*time.Millisecond)
			listener.BreakerSeen(ctx, "postgres", resilience.Closed, resilience.Open)
			listener.Retry(ctx, "postgres", 2, gobreaker.ErrOpenState, 0)
			listener.Attempt(ctx, "postgres", time.Millisecond, nil)
			return nil
		})
		testenv.Must(t, err)
		votes := spans.named("process votes")
		if len(votes) == 0 {
			t.Errorf("%s: no spans", name)
		}
		for _, span := range votes {
			if got := events(span); !slices.Equal(got, []string{"retry", "circuit breaker changed", "retry"}) {
				t.Errorf("%s: events %v", name, got)
			}
		}
		wantMetric(t, tel, `petvote_dependency_retries_total{petvote_policy="postgres"} 1`,
			`petvote_dependency_attempt_duration_seconds_count{outcome="error",petvote_policy="postgres"} 1`,
			`petvote_dependency_attempt_duration_seconds_count{outcome="ok",petvote_policy="postgres"} 1`)
	}
}

type ackFuncs struct{ err error }

func (s ackFuncs) Ack(context.Context, []string) error                    { return s.err }
func (s ackFuncs) DeadLetter(context.Context, []votestream.Failure) error { return s.err }
func (s ackFuncs) CountRetry(context.Context, string) (int64, error)      { return 1, s.err }
func (s ackFuncs) ForgetRetries(context.Context, string) error            { return s.err }

func TestADeadLetterMarksItsVoteAndNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		outcome error
		counted int
	}{
		"moved": {nil, 1}, "not moved": {errUnavailable, 0},
	} {
		tel, spans := recording(t)
		s := must(tel.Acker(ackFuncs{c.outcome}))
		both := deliveries(recordedA, recordedB)
		err := process(t, tel, both, func(ctx context.Context, batch []votestream.Delivery) error {
			err := s.DeadLetter(ctx, []votestream.Failure{
				{Delivery: batch[0], Reason: votestream.ReasonRejected, Err: errors.New("value out of range")}})
			if !errors.Is(err, c.outcome) {
				t.Errorf("%s: err = %v", name, err)
			}
			return nil
		})
		if votes := spans.named("process votes"); err != nil || len(votes) != 2 {
			t.Fatalf("%s: %d spans, %v", name, len(votes), err)
		}
		for _, span := range spans.named("process votes") {
			want, marks := sdktrace.Status{}, []string(nil)
			if span.SpanContext().TraceID().String() == traceA && c.outcome == nil {
				want, marks = sdktrace.Status{Code: codes.Error, Description: "value out of range"}, []string{"dead letter"}
			}
			if span.Status() != want || !slices.Equal(events(span), marks) {
				t.Errorf("%s: status %v, events %v; want %v, %v", name, span.Status(), events(span), want, marks)
			}
		}
		wantMetric(t, tel, fmt.Sprintf(`petvote_dead_letters_total{reason="rejected"} %d`, c.counted))
	}
}

func TestTheConsumersTraceCanBeItsOwnWithALinkToTheProducers(t *testing.T) {
	tel, spans := recording(t)
	batch := deliveries(recordedA)
	testenv.Must(t, must(tel.Processor(nothing, true))(t.Context(), batch))
	span := spans.only(t, "process votes")
	if span.Parent().IsValid() || span.SpanContext().TraceID().String() == traceA {
		t.Errorf("span %s beneath %v", contextOf(span.SpanContext()), span.Parent())
	}
	if !slices.Equal(links(span), []string{recordedA.Parent}) {
		t.Errorf("links %v", links(span))
	}
	if batch[0].Message.Trace.Parent != contextOf(span.SpanContext()) {
		t.Errorf("its successor would continue %s", batch[0].Message.Trace.Parent)
	}
}

// record passes a vote for each trace through the decorator, cast two seconds ago.
func record(t *testing.T, tel *Telemetry, next RecordFunc, traces ...tracecontext.TraceContext) error {
	t.Helper()
	entries := make([]votestore.Entry, len(traces))
	for i, tc := range traces {
		entries[i] = votestore.Entry{Source: []byte(fmt.Sprint(i)), Trace: tc,
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
	testenv.Must(t, err)
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

// The latency is that of votes, not of deliveries: a duplicate or a redelivered entry has none.
func TestVotesAreCountedByOutcome(t *testing.T) {
	tel, spans := recording(t)
	err := record(t, tel, func(_ context.Context, entries []votestore.Entry) (votestore.Outcome, error) {
		return votestore.Outcome{Stored: 3, Duplicates: 2, Redelivered: 1, NewEntries: map[string]bool{
			"0": true, "2": true, "5": true}}, nil
	}, make([]tracecontext.TraceContext, 6)...)
	if err != nil || len(spans.Started()) > 0 {
		t.Errorf("%v, %d spans of votes that are not recorded", err, len(spans.Started()))
	}
	wantMetric(t, tel, `petvote_votes_total{outcome="stored"} 3`, `petvote_votes_total{outcome="duplicate"} 2`,
		`petvote_votes_total{outcome="redelivered"} 1`, `petvote_store_duration_seconds_count 1`,
		`petvote_vote_to_stored_seconds_bucket{le="1"} 0`, `petvote_vote_to_stored_seconds_bucket{le="5"} 3`)
}

// The times come from the clocks of two hosts. A sum that falls looks like a restart to Prometheus.
func TestAVoteFromTheFutureTakesNoTime(t *testing.T) {
	tel := started(t)
	ahead := time.Now().Add(30 * 24 * time.Hour)
	store := must(tel.Recorder(func(context.Context, []votestore.Entry) (votestore.Outcome, error) {
		return votestore.Outcome{Stored: 1}, nil
	}))
	push := must(tel.Refresher(func(context.Context, votestore.Notice) error { return nil }))
	_, err := store.Record(t.Context(), []votestore.Entry{{Vote: ballot.Vote{CastAt: ahead}}})
	testenv.Must(t, errors.Join(err, push.Refresh(t.Context(), votestore.Notice{Oldest: ahead})))
	wantMetric(t, tel, `petvote_vote_to_stored_seconds_sum 0`, `petvote_vote_to_stored_seconds_count 1`,
		`petvote_vote_to_screen_seconds_sum 0`, `petvote_vote_to_screen_seconds_count 1`)
}

func TestAFailureToStoreMarksEverySpanAndCountsNoVote(t *testing.T) {
	tel, spans := recording(t)
	err := record(t, tel, func(context.Context, []votestore.Entry) (votestore.Outcome, error) {
		return votestore.Outcome{}, errUnavailable
	}, recordedA, recordedB)
	if !errors.Is(err, errUnavailable) || len(spans.Ended()) != 2 {
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
