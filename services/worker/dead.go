package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"petvote/shared/config"
	"petvote/shared/votestream"
)

const deadUsage = `usage: worker dead list [-json]          what was given up, and why
       worker dead replay ID...|-all     put entries back into the stream
       worker dead drop ID...|-all       delete entries for good`

// page is how many dead letters are read at once.
const deadPage = 500

// deadLetters is the program for the person who looks after what was given up.
func deadLetters(ctx context.Context, args, environ []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(deadUsage)
	}
	flags := flag.NewFlagSet("worker dead "+args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var asJSON, all bool
	switch args[0] {
	case "list":
		flags.BoolVar(&asJSON, "json", false, "")
	case "replay", "drop":
		flags.BoolVar(&all, "all", false, "")
	default:
		return errors.New(deadUsage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w\n%s", err, deadUsage)
	}
	var cfg struct{ Redis votestream.Config }
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	rdb := cfg.Redis.Dial(0)
	defer rdb.Close()
	queue := votestream.NewQueue(rdb)

	switch args[0] {
	case "replay":
		return eachDead(ctx, queue, flags.Args(), all, out, "replayed", queue.Replay)
	case "drop":
		return eachDead(ctx, queue, flags.Args(), all, out, "dropped", queue.Drop)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("list shows all entries\n%s", deadUsage)
	}
	return listDead(ctx, queue, out, asJSON)
}

func listDead(ctx context.Context, queue *votestream.Queue, out io.Writer, asJSON bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	encoder := json.NewEncoder(out)
	n := 0
	err := walkDead(ctx, queue, func(d votestream.DeadLetter) error {
		if asJSON {
			return encoder.Encode(d)
		}
		if n++; n == 1 {
			fmt.Fprintln(table, "ID\tFAILED AT\tREASON\tVOTE ID\tVOTE\tERROR")
		}
		message := strings.Join(strings.Fields(d.Error), " ") // an error may have several lines
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%q\t%q\t%s\n", d.ID, d.FailedAt.Format(time.RFC3339), d.Reason, d.Fields["id"], d.Fields["vote"], message)
		return err
	})
	if err != nil || asJSON {
		return err
	}
	if n == 0 {
		fmt.Fprintln(out, "no dead letters")
	}
	return table.Flush()
}

// eachDead does one thing with the dead letters named, or with all that are there at the start.
func eachDead(ctx context.Context, queue *votestream.Queue, ids []string, all bool, out io.Writer, done string, do func(context.Context, string) error) error {
	if all == (len(ids) > 0) {
		return fmt.Errorf("name the entries, or say -all\n%s", deadUsage)
	}
	if all {
		err := walkDead(ctx, queue, func(d votestream.DeadLetter) error { ids = append(ids, d.ID); return nil })
		if err != nil {
			return err
		}
	}
	var errs []error
	n := 0
	for _, id := range ids {
		if err := do(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
			continue
		}
		n++
	}
	fmt.Fprintf(out, "%d %s\n", n, done)
	return errors.Join(errs...)
}

func walkDead(ctx context.Context, queue *votestream.Queue, visit func(votestream.DeadLetter) error) error {
	after := ""
	for {
		letters, err := queue.ListDeadLetters(ctx, after, deadPage)
		if err != nil {
			return err
		}
		for _, d := range letters {
			if err := visit(d); err != nil {
				return err
			}
			after = d.ID
		}
		if len(letters) < deadPage {
			return nil
		}
	}
}
