package telemetry

import (
	"context"
	"os"

	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
)

// StartService starts a service's logging and telemetry. The clean-up exports what is left.
func StartService(ctx context.Context, name string, cfg config.Service, cleanups *lifecycle.Cleanups) (
	*Telemetry, resilience.Listener, error,
) {
	Log(os.Stdout, name, string(cfg.LogFormat), cfg.LogLevel)
	t, err := Start(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	cleanups.Add("telemetry", t.Shutdown)
	listener, err := t.PolicyListener()
	return t, listener, err
}
