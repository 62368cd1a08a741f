//go:build containers

package containertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// books are what Redis and PostgreSQL have on record, asked without the services.
type books struct {
	Rows, Votes, Duplicates int // votes stored, the sum of the tally, and deliveries of votes that were stored already
	added, waiting, dead    int // entries ever added to the stream, still in it, and given up
}

func (s *stack) books(ctx context.Context) (b books, err error) {
	out, err := s.compose(ctx, "exec", "-T", "db", "psql", "-U", "petvote", "-d", "petvote", "-tAc",
		`select json_build_object('rows', (select count(*) from votes), 'votes', (select sum(votes) from tally), 'duplicates', (select n from duplicate_count))`)
	if err != nil {
		return books{}, err
	}
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		return books{}, fmt.Errorf("%q: %w", out, err)
	}
	info, err := s.redis(ctx, "XINFO", "STREAM", "votes")
	if err != nil {
		return books{}, err
	}
	fields := strings.Split(info, "\n")
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i] {
		case "entries-added":
			b.added, err = strconv.Atoi(fields[i+1])
		case "length":
			b.waiting, err = strconv.Atoi(fields[i+1])
		}
		if err != nil {
			return books{}, fmt.Errorf("%q: %w", info, err)
		}
	}
	dead, err := s.redis(ctx, "XLEN", "votes:dead")
	if err != nil {
		return books{}, err
	}
	b.dead, err = strconv.Atoi(dead)
	return b, err
}

func (s *stack) redis(ctx context.Context, command ...string) (string, error) {
	return s.compose(ctx, append([]string{"exec", "-T", "-e", "REDISCLI_AUTH=" + redisPassword, "redis", "redis-cli", "-e"}, command...)...)
}

// balance says what is wrong with the books when nothing is on its way any more.
func (b books) balance() error {
	switch {
	case b.waiting > 0:
		return fmt.Errorf("votes are still waiting: %+v", b)
	case b.dead > 0:
		return fmt.Errorf("votes were given up: %+v", b)
	case b.Rows != b.Votes:
		return fmt.Errorf("the tally is not the number of votes: %+v", b)
	case b.added != b.Rows+b.Duplicates:
		return fmt.Errorf("what was added is not what was stored or seen again: %+v", b)
	}
	return nil
}

type tally struct {
	Total int
	Stale bool
}

// audit waits until everything is stored and then compares: every accepted key is counted as what it voted for, and there
// are as many votes as there were before and keys accepted.
func (s *stack) audit(ctx context.Context, t *testing.T, before books, accepted map[string]string) {
	t.Helper()
	var after books
	if err := try(ctx, 30*time.Second, func() (err error) {
		if after, err = s.books(ctx); err != nil {
			return err
		}
		return after.balance()
	}); err != nil {
		t.Error(err)
	}
	if got := after.Rows - before.Rows; got != len(accepted) {
		t.Errorf("%d votes were accepted and %d are counted", len(accepted), got)
	}
	if err := try(ctx, 5*time.Second, func() error {
		var shown tally
		if err := fetch(ctx, s.result+"/api/tally", &shown); err != nil {
			return err
		}
		if shown.Stale || shown.Total != after.Rows {
			return fmt.Errorf("result shows %+v, stored are %d", shown, after.Rows)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	wrong := s.receipts(ctx, accepted)
	for i, problem := range wrong {
		if t.Errorf("accepted, but: %s", problem); i == 4 {
			t.Errorf("… and so for %d in all", len(wrong))
			break
		}
	}
	t.Logf("%d accepted, %d counted, %d deliveries of votes that were counted already", len(accepted), after.Rows-before.Rows, after.Duplicates-before.Duplicates)
}

// receipts asks for every key and tells what is wrong with the answers.
func (s *stack) receipts(ctx context.Context, accepted map[string]string) (wrong []string) {
	slots := make(chan struct{}, 8)
	var (
		mu     sync.Mutex
		asking sync.WaitGroup
	)
	for key, pet := range accepted {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			var receipt struct {
				ID, Pet string
				Counted bool
			}
			err := fetch(ctx, s.result+"/votes/"+key, &receipt)
			if err != nil || !receipt.Counted || receipt.ID != key || receipt.Pet != pet {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, fmt.Sprintf("vote %s for %s has the receipt %+v, %v", key, pet, receipt, err))
			}
		})
	}
	asking.Wait()
	return wrong
}
