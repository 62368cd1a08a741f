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
	Port          config.Port    `env:"PORT" envDefault:"8085"`
	VoteURL       config.Sibling `env:"VOTE_URL"`
	JaegerURL     config.Link    `env:"JAEGER_UI_URL"`
	ShutdownDelay config.Delay   `env:"SHUTDOWN_DELAY" envDefault:"500ms"`
	// A stream holds 13 KB, a websocket 20, a poll 45: 10,000 viewers and the requests beside them fit in 448 MB.
	MaxConnections     config.Count    `env:"MAX_CONNECTIONS" envDefault:"12288"`
	SocketPingInterval config.Interval `env:"SOCKET_PING_INTERVAL" envDefault:"25s"`
	SocketPingTimeout  config.Interval `env:"SOCKET_PING_TIMEOUT" envDefault:"20s"`
}

// maxViewers leaves an eighth of the connections to pages and programs that ask once.
func (s settings) maxViewers() int { return int(s.MaxConnections) - int(s.MaxConnections)/8 }
