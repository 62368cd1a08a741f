package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis         votestream.Config
	Postgres      votestore.Config
	ConsumerName  string     `env:"CONSUMER_NAME"` // default: host name and process id
	Lanes         count      `env:"LANES" envDefault:"2"`
	BatchSize     count      `env:"BATCH_SIZE" envDefault:"2000"`
	ClaimIdle     idleTime   `env:"CLAIM_IDLE" envDefault:"10s"`
	MaxDeliveries count      `env:"MAX_DELIVERIES" envDefault:"20"`
	CrashAt       crashPoint `env:"CRASH_AT"`
	CrashAfter    uint32     `env:"CRASH_AFTER" envDefault:"0"`
}

// count is a number of which there has to be one at least.
type count uint16

// UnmarshalText refuses 0: no lane would do nothing, and no delivery would make every vote a dead letter.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n == 0 {
		return errors.New("not a number from 1 to 65535")
	}
	*c = count(n)
	return nil
}

// idleTime is how long entries lie untouched before their worker is taken for dead.
type idleTime time.Duration

// UnmarshalText refuses times in which living workers would be taken for dead.
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
