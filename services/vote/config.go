package main

import (
	"errors"
	"strconv"

	"petvote/shared/config"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis     votestream.Config
	Port      config.Port `env:"PORT" envDefault:"8084"`
	ResultURL config.Link `env:"RESULT_URL"`
	JaegerURL config.Link `env:"JAEGER_UI_URL"`
	// More votes in flight than by default make round trips to Redis no fuller.
	MaxInFlight    atMost       `env:"MAX_IN_FLIGHT" envDefault:"1024"`
	MaxConnections atMost       `env:"MAX_CONNECTIONS" envDefault:"8192"` // some 50 KB each
	ShutdownDelay  config.Delay `env:"SHUTDOWN_DELAY" envDefault:"500ms"`
}

// atMost is how many of something there may be at once.
type atMost uint16

// UnmarshalText refuses 0, which would take no vote at all.
func (n *atMost) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || v == 0 {
		return errors.New("not a number from 1 to 65535")
	}
	*n = atMost(v)
	return nil
}
