package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"petvote/shared/ballot"
	"petvote/shared/resilience"
	"petvote/shared/tracecontext"
	"petvote/shared/votestream"
)

var errUnavailable = errors.New("connection refused")

// publish sends a message through the decorator and returns what the decorated function got.
func publish(t *testing.T, tel *Telemetry, ctx context.Context, err error) (
	arrived votestream.Message, inside trace.SpanContext,
) {
	t.Helper()
	entry := votestream.Entry{Queue: "1", ID: "1-0"}
	if err != nil {
		entry = votestream.Entry{}
	}
	p := must(tel.Publisher(func(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
		arrived, inside = m, trace.SpanContextFromContext(ctx)
		return entry, err
	}))
	vote := ballot.Vote{ID: uuid.New(), Pet: ballot.Dogs}
	if at, got := p.Publish(ctx, votestream.Message{Vote: vote}); !errors.Is(got, err) || at != entry {
		t.Errorf("%v, err = %v, want %v, %v", at, got, entry, err)
	}
	if arrived.Vote != vote {
		t.Errorf("the vote arrived as %+v", arrived.Vote)
	}
	return arrived, inside
}

func TestAPublishedMessageCarriesTheContextOfItsSpan(t *testing.T) {
	tel, spans := recording(t)
	m, inside := publish(t, tel, extract(t.Context(), recordedA), nil)
	span := spans.only(t, "publish votes")
	if span.SpanKind() != trace.SpanKindProducer || span.Parent().SpanID().String() != parentA ||
		span.Status().Code != codes.Unset {
		t.Errorf("kind %v, parent %v, status %v", span.SpanKind(), span.Parent().SpanID(), span.Status())
	}
	own := contextOf(span.SpanContext())
	if m.Trace.Parent != own || m.Trace.TraceID() != traceA || m.Trace.State != "vendor=a" || contextOf(inside) != own {
		t.Errorf("the message carries %+v, the span is %s, publishing runs in %s", m.Trace, own, contextOf(inside))
	}
	if got := attributeOf(span.Attributes(), "messaging.message.id"); got != m.Vote.ID.String() {
		t.Errorf("message id %q, want %v", got, m.Vote.ID)
	}
	if got := attributeOf(span.Attributes(), "messaging.destination.partition.id"); got != "1" {
		t.Errorf("published to queue %q, want 1", got)
	}
}

func TestAMessageThatIsNotPublishedLeavesAFailedSpan(t *testing.T) {
	tel, spans := recording(t)
	publish(t, tel, t.Context(), errUnavailable)
	span := spans.only(t, "publish votes")
	if s := span.Status(); s.Code != codes.Error || s.Description != errUnavailable.Error() ||
		attributeOf(span.Attributes(), "error.type") == "" {
		t.Errorf("status %v, attributes %v", s, span.Attributes())
	}
	publish(t, tel, t.Context(), nil)
	const count = "messaging_client_operation_duration_seconds_count"
	const topic, kind = `messaging_destination_name="votes",`, `messaging_operation_name="publish",` +
		`messaging_operation_type="send",messaging_system="redis"} 1`
	wantMetric(t, tel, count+`{error_type="_OTHER",`+topic+kind,
		count+`{`+topic+`messaging_destination_partition_id="1",`+kind)
}

func TestAMessageOfAnUnsampledTraceStaysUnsampled(t *testing.T) {
	tel, spans := recording(t)
	m, _ := publish(t, tel, extract(t.Context(), unrecorded), nil)
	if m.Trace.TraceID() != unrecorded.TraceID() || m.Trace.Sampled() || len(spans.Ended()) > 0 {
		t.Errorf("the message carries %+v, and there are %d spans", m.Trace, len(spans.Ended()))
	}
}

// Every vote in the queue carries a tracestate, and strangers send them.
func TestATracestateInTheQueueIsBounded(t *testing.T) {
	member := func(n, length int) string { return fmt.Sprintf("m%02d=%s", n, strings.Repeat("x", length-4)) }
	short := make([]string, 8)
	for i := range short {
		short[i] = member(i, 63) // with their commas 511 bytes
	}
	for name, c := range map[string]struct{ sent, want []string }{
		"short":           {short, short},
		"one too many":    {append(short[:8:8], "a=b"), short},
		"long ones first": {[]string{member(20, 250), short[0], member(21, 250), short[1]}, short[:2]},
		"long and few":    {[]string{member(20, 250), member(21, 250)}, []string{member(20, 250), member(21, 250)}},
		"only long ones":  {[]string{member(20, 250), member(21, 250), member(22, 250)}, nil},
	} {
		tel, _ := recording(t)
		ctx := extract(t.Context(), tracecontext.TraceContext{Parent: recordedA.Parent, State: strings.Join(c.sent, ",")})
		m, _ := publish(t, tel, ctx, nil)
		if want := strings.Join(c.want, ","); m.Trace.State != want || len(want) > 512 || m.Trace.TraceID() != traceA {
			t.Errorf("%s: %q, want %q", name, m.Trace.State, want)
		}
	}
}

// Nothing listens at the producer's Redis. The policy is asked with the context of the group, not of the vote.
func TestASampledVoteShowsTheEventsOfItsGroup(t *testing.T) {
	tel, spans := recording(t)
	listener := must(tel.PolicyListener())
	rdb := votestream.Config{Hosts: votestream.Hosts{"127.0.0.1:1"}}.Dial(0)[0]
	defer rdb.Close()
	producer := votestream.NewProducer(rdb, func(ctx context.Context, call func(context.Context) error) error {
		listener.BreakerSeen(ctx, "redis", resilience.Closed, resilience.Open)
		return call(ctx)
	})
	p := must(tel.Publisher(func(ctx context.Context, m votestream.Message) (votestream.Entry, error) {
		return producer.Publish(ctx, m, time.Minute)
	}))
	for _, parent := range []tracecontext.TraceContext{recordedA, unrecorded} {
		if _, err := p.Publish(extract(t.Context(), parent), votestream.Message{}); err == nil {
			t.Error("published to nowhere")
		}
	}
	if got := events(spans.only(t, "publish votes")); !slices.Contains(got, "circuit breaker changed") {
		t.Errorf("events %v", got)
	}
}
