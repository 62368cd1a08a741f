package main

import (
	"petvote/shared/config"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	Redis         votestream.Config
	Port          config.Port  `env:"PORT" envDefault:"8084"`
	ResultURL     config.Link  `env:"RESULT_URL"`
	JaegerURL     config.Link  `env:"JAEGER_UI_URL"`
	MaxInFlight   inFlight     `env:"MAX_IN_FLIGHT" envDefault:"1024"`
	ShutdownDelay config.Delay `env:"SHUTDOWN_DELAY" envDefault:"500ms"`
}
