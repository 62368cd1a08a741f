package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	readyLimit = 90 * time.Second
	readyPoll  = 100 * time.Millisecond
)

// AwaitReady asks each address, given by the name of who answers there, until all answer with status 200. When they have not
// after 90 s, or ctx is done, the error says who has not and with which last answer.
func AwaitReady(ctx context.Context, addresses map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	waiting := maps.Clone(addresses)
	for {
		var answers []error
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			if err := probe(ctx, client, waiting[name]); err != nil {
				answers = append(answers, fmt.Errorf("%s is not ready: %w", name, err))
				continue
			}
			delete(waiting, name)
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(answers...)
		case <-time.After(readyPoll):
		}
	}
}

func probe(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
