package main

import (
	"petvote/shared/config"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	config.Public
	Redis     votestream.Config
	Port      config.Port    `env:"PORT" envDefault:"8084"`
	ResultURL config.Sibling `env:"RESULT_URL"`
	JaegerURL config.Link    `env:"JAEGER_UI_URL"`
	// Of all queues together. Up to 1,024 of them share a round trip to Redis.
	MaxInFlight    config.Count `env:"MAX_IN_FLIGHT" envDefault:"1024"`
	MaxConnections config.Count `env:"MAX_CONNECTIONS" envDefault:"8192"` // some 50 KB each
	ShutdownDelay  config.Delay `env:"SHUTDOWN_DELAY" envDefault:"500ms"`
}
