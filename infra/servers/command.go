package servers

import (
	"context"
	"errors"
	"fmt"
)

// Run runs a program to its end. An end with another status than 0 is an error, with the end of the output if spec has nobody
// to receive it. When ctx is done the program is killed, with all it has started.
func Run(ctx context.Context, spec Spec) error {
	p := NewProcess(spec)
	r, err := p.launch()
	if err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %w", spec.Name, context.Cause(ctx)), p.Kill())
	}
	if r.err == nil {
		return nil
	}
	if spec.Output != nil {
		return fmt.Errorf("%s: %w", spec.Name, r.err)
	}
	return fmt.Errorf("%s: %w:\n%s", spec.Name, r.err, r.log)
}
