package telemetry

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/shared/config"
	"petvote/shared/resilience"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

func TestTheStateOfEveryPartIsExported(t *testing.T) {
	tel := started(t)
	policy := resilience.New(resilience.Settings{Name: "redis", Failures: 1, OpenFor: time.Hour, Budget: time.Second,
		Listener: must(tel.PolicyListener())})
	_ = policy.Do(t.Context(), func(context.Context) error { return errUnavailable })
	stream := votestream.Stats{Added: 10, Dead: 1, Waiting: 2, InFlight: 3, DeadNow: 4, Oldest: 1500 * time.Millisecond,
		Ahead: -2 * time.Second}
	store := votestore.Stats{Stored: 5, Duplicates: 6}
	err := errors.Join(
		tel.ObserveStreams(Stream{"0", "redis-0", func(context.Context) (votestream.Stats, error) { return stream, nil }},
			Stream{"1", "redis-1", func(context.Context) (votestream.Stats, error) { return votestream.Stats{Added: 9}, nil }}),
		tel.ObserveStore(func(context.Context) (votestore.Stats, error) { return store, nil }),
		tel.ObserveAdmission(func() (inFlight, waiting, refused int64) { return 11, 12, 13 }),
		tel.ObserveAudience(func() (viewers map[string]int64, pushes, conflated, refused int64) {
			return map[string]int64{"sse": 7, "socket.io": 0}, 8, 9, 10
		}),
		tel.ObserveRefusals(func() map[string]int64 { return map[string]int64{"origin": 14, "rate_limit": 0} }),
		tel.ObserveFindings(func() []config.Finding {
			return []config.Finding{{Setting: "redis appendonly", Problem: "it is off"}}
		}),
		tel.ObserveDependencies(func() []resilience.Health {
			return []resilience.Health{{Name: "redis-0", Up: true}, {Name: "redis-1"}}
		}),
		tel.ObserveBreakers(policy, resilience.New(resilience.Settings{Name: "postgres"})))
	testenv.Must(t, err)
	const queue = `{messaging_destination_partition_id="0"}`
	wantMetric(t, tel,
		`petvote_books_accepted_total`+queue+` 10`, `petvote_books_dead_lettered_total`+queue+` 1`,
		`petvote_stream_waiting`+queue+` 2`, `petvote_stream_in_flight`+queue+` 3`,
		`petvote_stream_dead_letters`+queue+` 4`, `petvote_stream_oldest_age_seconds`+queue+` 1.5`,
		`petvote_stream_readable`+queue+` 1`, `petvote_clock_skew_seconds{petvote_server="redis-0"} -2`,
		`petvote_books_accepted_total{messaging_destination_partition_id="1"} 9`,
		`petvote_clock_skew_seconds{petvote_server="redis-1"} 0`,
		`petvote_books_stored_total 5`, `petvote_books_duplicates_total 6`, `petvote_viewers{transport="sse"} 7`,
		`petvote_viewers{transport="socket.io"} 0`, `petvote_pushes_total 8`, `petvote_pushes_conflated_total 9`,
		`petvote_viewers_refused_total 10`,
		`petvote_admission_in_flight 11`, `petvote_admission_waiting 12`, `petvote_admission_refused_total 13`,
		`petvote_breaker_changes_total{petvote_policy="redis",to="open"} 1`,
		`petvote_requests_refused_total{reason="origin"} 14`, `petvote_requests_refused_total{reason="rate_limit"} 0`,
		`petvote_findings{petvote_setting="redis appendonly"} 1`,
		`petvote_dependency_up{petvote_policy="redis-0"} 1`, `petvote_dependency_up{petvote_policy="redis-1"} 0`,
		`petvote_breaker_state{petvote_policy="redis"} 2`, `petvote_breaker_state{petvote_policy="postgres"} 0`)
}

// A zero would look like an empty stream; a failed scrape would lose all other metrics too. The queues are read at
// once: here one waits for the other.
func TestAMetricThatCanNotBeReadIsMissingFromTheScrape(t *testing.T) {
	tel := started(t)
	met, bounded := make(chan struct{}), false
	err := errors.Join(
		tel.ObserveStreams(
			Stream{"0", "redis-0", func(ctx context.Context) (votestream.Stats, error) {
				select {
				case <-met:
				case <-ctx.Done():
				}
				return votestream.Stats{Added: 9}, ctx.Err()
			}},
			Stream{"1", "redis-1", func(ctx context.Context) (votestream.Stats, error) {
				select {
				case met <- struct{}{}:
				case <-ctx.Done():
				}
				_, bounded = ctx.Deadline()
				return votestream.Stats{Added: 10}, errUnavailable
			}}),
		tel.ObserveStore(func(context.Context) (votestore.Stats, error) { return votestore.Stats{Stored: 5}, nil }))
	testenv.Must(t, err)
	wantMetric(t, tel, `petvote_books_stored_total 5`)
	want := []string{
		`petvote_books_accepted_total{messaging_destination_partition_id="0"} 9`,
		`petvote_stream_readable{messaging_destination_partition_id="0"} 1`,
		`petvote_stream_readable{messaging_destination_partition_id="1"} 0`,
	}
	found := append(scrape(t, tel, "petvote_books_accepted"), scrape(t, tel, "petvote_stream_readable")...)
	more := scrape(t, tel, `petvote_stream_waiting{messaging_destination_partition_id="1"}`)
	if !slices.Equal(found, want) || len(more) > 0 || !bounded {
		t.Errorf("found %v and %v, want %v; the read is bounded: %v", found, more, want, bounded)
	}
}

// rate() does not show the first event of a counter that starts at 1.
func TestRareEventsAreCountedFromZero(t *testing.T) {
	tel := started(t)
	_, processing := tel.Processor(nil, false)
	_, acking := tel.Acker(nil)
	breakers := tel.ObserveBreakers(resilience.New(resilience.Settings{Name: "redis"}))
	testenv.Must(t, errors.Join(processing, acking, breakers))
	wantMetric(t, tel, `petvote_redeliveries_total 0`, `petvote_dependency_retries_total{petvote_policy="redis"} 0`,
		`petvote_breaker_changes_total{petvote_policy="redis",to="open"} 0`,
		`petvote_dead_letters_total{reason="undecodable"} 0`,
		`petvote_dead_letters_total{reason="invalid"} 0`, `petvote_dead_letters_total{reason="rejected"} 0`,
		`petvote_dead_letters_total{reason="too_many_deliveries"} 0`)
}

func TestTheAgeOfTheTallyIsExportedOnceThereIsOne(t *testing.T) {
	tel := started(t)
	var read bool
	testenv.Must(t, tel.ObserveTally(func() (time.Duration, bool) { return 1500 * time.Millisecond, read }))
	if found := scrape(t, tel, "petvote_tally_age"); len(found) > 0 {
		t.Errorf("before the first tally: %v", found)
	}
	read = true
	wantMetric(t, tel, `petvote_tally_age_seconds 1.5`)
}
