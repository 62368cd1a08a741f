package votestream

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Producer adds votes to the stream. Concurrent calls share a round trip, and with it the fsync before Redis's reply.
type Producer struct{ pipeline *redis.AutoPipeliner }

// NewProducer returns a producer on rdb; closing rdb closes it.
func NewProducer(rdb *redis.Client) (*Producer, error) {
	o := redis.DefaultBlockingAutoPipelineOptions()
	o.MaxQueuedCommands = 16_384 // wait inside the client; beyond them Publish fails at once
	// Asynchronous, because its wait ends with the context: the blocking pipeline waits for as long as Redis hangs.
	pipeline, err := rdb.AsyncAutoPipelineWithOptions(o)
	if err != nil {
		return nil, fmt.Errorf("share round trips to redis: %w", err)
	}
	return &Producer{pipeline: pipeline}, nil
}

// Publish returns the entry once it is in the stream; with "appendfsync always" it is then on disk. After an error the
// entry may be in the stream.
func (p *Producer) Publish(ctx context.Context, m Message) (Entry, error) {
	args := append(make([]any, 0, 13), "xadd", Stream, "*")
	cmd := redis.NewStringCmd(ctx, append(args, m.encode()...)...)
	if err := p.pipeline.Submit(ctx, cmd).WaitContext(ctx); err != nil {
		return Entry{}, fmt.Errorf("add to stream: %w", explain(err))
	}
	return Entry{queueName, cmd.Val()}, nil
}
