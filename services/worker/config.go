package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"petvote/observability/telemetry"
	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis        votestream.Config
	Postgres     votestore.Config
	ConsumerName string                `env:"CONSUMER_NAME"` // default: host name and process id
	Lanes        lanes                 `env:"LANES" envDefault:"2"`
	BatchSize    count                 `env:"BATCH_SIZE" envDefault:"2000"`
	ClaimIdle    idleTime              `env:"CLAIM_IDLE" envDefault:"10s"`
	MaxTries     count                 `env:"MAX_TRIES" envDefault:"20"`
	QueueTraces  telemetry.QueueTraces `env:"QUEUE_TRACES" envDefault:"continue"`
	CrashAt      crashPoint            `env:"CRASH_AT"`
	CrashAfter   uint32                `env:"CRASH_AFTER" envDefault:"0"`
}

// count is a number of which there has to be one at least.
type count uint16

// UnmarshalText refuses 0: no vote in a batch would store nothing, and no try would make suspects of all votes.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n == 0 {
		return errors.New("not a number from 1 to 65535")
	}
	*c = count(n)
	return nil
}

// lanes is how many batches are in hand at once; each takes a connection to Redis and one to PostgreSQL.
type lanes uint8

// UnmarshalText refuses none, and more than any database is glad of.
func (l *lanes) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil || n == 0 || n > 64 {
		return errors.New("not a number from 1 to 64")
	}
	*l = lanes(n)
	return nil
}

// idleTime is how long entries lie untouched before their worker is taken for dead.
type idleTime time.Duration

// UnmarshalText refuses times so short that every worker would be taken for dead while it works.
func (i *idleTime) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < time.Second {
		return errors.New(`not a time of at least 1s, such as "10s"`)
	}
	*i = idleTime(d)
	return nil
}

// load fills in what the environment leaves open.
func load(environ []string) (settings, error) {
	var cfg settings
	if err := config.Load(environ, &cfg); err != nil {
		return settings{}, err
	}
	if cfg.ConsumerName == "" {
		host, err := os.Hostname()
		if err != nil {
			return settings{}, fmt.Errorf("name the consumer (set CONSUMER_NAME): %w", err)
		}
		cfg.ConsumerName = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	return cfg, nil
}
