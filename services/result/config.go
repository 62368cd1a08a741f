package main

import (
	"petvote/shared/config"
	"petvote/shared/votestore"
	"petvote/shared/votestream"
)

type settings struct {
	config.Service
	config.Public
	Postgres      votestore.Config
	Redis         votestream.Config
	Port          config.Port  `env:"PORT" envDefault:"8085"`
	VoteURL       config.Link  `env:"VOTE_URL"`
	JaegerURL     config.Link  `env:"JAEGER_UI_URL"`
	ShutdownDelay config.Delay `env:"SHUTDOWN_DELAY" envDefault:"500ms"`
}
