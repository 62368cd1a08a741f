package main

import (
	"cmp"
	"fmt"
	"os"

	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis        votestream.Config
	Postgres     votestore.Config
	ConsumerName string             `env:"CONSUMER_NAME"` // default: host name and process id
	Concurrency  config.Concurrency `env:"CONCURRENCY"`   // consumers of each queue; default: LANES, else 2
	Lanes        config.Concurrency `env:"LANES"`         // the former name of CONCURRENCY, which takes precedence
	BatchSize    config.Count       `env:"BATCH_SIZE" envDefault:"2000"`
	ClaimIdle    config.Timeout     `env:"CLAIM_IDLE" envDefault:"10s"`
	MaxTries     config.Count       `env:"MAX_TRIES" envDefault:"20"`
	QueueTraces  queueTraces        `env:"QUEUE_TRACES" envDefault:"continue"`
	CrashAt      crashPoint         `env:"CRASH_AT"`
	CrashAfter   uint32             `env:"CRASH_AFTER" envDefault:"0"`
}

// queueTraces says whether a vote's trace continues after the queue or is linked to a new one.
type queueTraces string

const (
	continueTraces queueTraces = "continue"
	linkTraces     queueTraces = "link"
)

// UnmarshalText refuses other words.
func (q *queueTraces) UnmarshalText(text []byte) error {
	return config.OneOf(q, text, continueTraces, linkTraces)
}

// load reads the settings and adds the defaults that depend on others or on the machine.
func load(environ []string) (settings, error) {
	var cfg settings
	if err := config.Load(environ, &cfg); err != nil {
		return settings{}, err
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, cfg.Lanes, 2)
	if cfg.ConsumerName == "" {
		host, err := os.Hostname()
		if err != nil {
			return settings{}, fmt.Errorf("name the consumer (set CONSUMER_NAME): %w", err)
		}
		cfg.ConsumerName = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	return cfg, nil
}
