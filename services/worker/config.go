package main

import (
	"fmt"
	"os"
	"time"

	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis         votestream.Config
	Postgres      votestore.Config
	ConsumerName  string        `env:"CONSUMER_NAME"` // default: host name and process id
	Lanes         uint8         `env:"LANES" envDefault:"2"`
	BatchSize     uint16        `env:"BATCH_SIZE" envDefault:"2000"`
	ClaimIdle     time.Duration `env:"CLAIM_IDLE" envDefault:"10s"`
	MaxDeliveries uint16        `env:"MAX_DELIVERIES" envDefault:"20"`
	CrashAt       crashPoint    `env:"CRASH_AT"`
	CrashAfter    uint32        `env:"CRASH_AFTER" envDefault:"0"`
}

// load fills in what the environment leaves open and refuses what makes no worker.
func load(environ []string) (settings, error) {
	var cfg settings
	if err := config.Load(environ, &cfg); err != nil {
		return settings{}, err
	}
	switch {
	case cfg.Lanes == 0:
		return settings{}, fmt.Errorf("bad configuration:\n  LANES=%q: a worker needs at least one lane", "0")
	case cfg.BatchSize == 0:
		return settings{}, fmt.Errorf("bad configuration:\n  BATCH_SIZE=%q: a batch holds at least one vote", "0")
	case cfg.ClaimIdle < time.Second:
		return settings{}, fmt.Errorf("bad configuration:\n  CLAIM_IDLE=%q: at least 1s, or living workers are taken for dead", cfg.ClaimIdle)
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
