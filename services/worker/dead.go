package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"petvote/shared/config"
	"petvote/shared/lifecycle"
	"petvote/shared/votestream"
)

const deadUsage = `usage: worker dead list [-json]          list the dead letters with their reasons
       worker dead replay ID...|-all     put entries back into the stream
       worker dead drop ID...|-all       delete entries for good
where there are several queues, an ID is <queue>/<entry ID>, as list shows it`

// subcommand runs a command other than the service itself; done reports whether there was one.
func subcommand(ctx context.Context, args, environ []string) (done bool, err error) {
	command, usage := deadLetters, deadUsage
	switch {
	case len(args) > 0 && args[0] == "dead":
	case len(args) > 0 && args[0] == "migrate":
		command, usage = migrateOnly, migrateUsage
	default:
		return lifecycle.Subcommand(name, args, environ, "dead       manage the dead letters: list, replay, drop",
			"migrate    bring the database's schema up to date, and end")
	}
	if lifecycle.WantsHelp(args[1:]) {
		fmt.Println(usage)
		return true, nil
	}
	return true, command(ctx, args[1:], environ, os.Stdout)
}

// deadLetters manages the dead letters from the command line.
func deadLetters(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("worker dead", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON, all := flags.Bool("json", false, ""), flags.Bool("all", false, "")
	command, rest := "", args
	if len(args) > 0 {
		command, rest = args[0], args[1:]
	}
	if err := flags.Parse(rest); err != nil {
		return fmt.Errorf("%w\n%s", err, deadUsage)
	}
	named := flags.NArg() > 0
	switch {
	case command == "list" && !*all && !named:
	case (command == "replay" || command == "drop") && !*asJSON && *all != named:
	default:
		return errors.New(deadUsage)
	}
	var cfg struct{ Redis votestream.Config }
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	queues := map[string]*votestream.Queue{} // those that can be used
	clients := cfg.Redis.Dial(0)
	list := deadList{out: out, asJSON: *asJSON}
	ids := flags.Args()
	var errs []error
	for _, rdb := range clients {
		defer rdb.Close()
		queue := votestream.NewQueue(rdb)
		_, err := queue.MoveFormerKeys(ctx)
		if err == nil && (command == "list" || *all) {
			err = walkDead(ctx, queue, func(d votestream.DeadLetter) error {
				if len(clients) > 1 {
					d.ID = queue.Name() + "/" + d.ID
				}
				if ids = append(ids, d.ID); command == "list" {
					return list.add(d)
				}
				return nil
			})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("can't use Redis at %s, set by REDIS_HOST and REDIS_PORT or by REDIS_URL: %w",
				rdb.Options().Addr, err))
			continue
		}
		queues[queue.Name()] = queue
	}
	if command == "list" {
		return errors.Join(append(errs, list.end(len(ids), len(queues) == 0))...)
	}
	do, doing := (*votestream.Queue).Replay, "replayed"
	if command == "drop" {
		do, doing = (*votestream.Queue).Drop, "dropped"
	}
	done := 0
	for _, id := range ids {
		if err := onDead(ctx, queues, id, do); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
			continue
		}
		done++
	}
	if len(queues) > 0 {
		fmt.Fprintf(out, "%d %s\n", done, doing)
	}
	return errors.Join(errs...)
}

// onDead does something to a dead letter, "<queue>/<ID>". Without a queue the ID is one of the first queue.
func onDead(ctx context.Context, queues map[string]*votestream.Queue, id string,
	do func(*votestream.Queue, context.Context, string) error) error {
	name, rest, named := strings.Cut(id, "/")
	if !named {
		name, rest = "0", id
	}
	queue := queues[name]
	if queue == nil {
		return fmt.Errorf("there is no queue %q, or it can't be used", name)
	}
	return do(queue, ctx, rest)
}

// deadList prints dead letters as JSON, one a line, or as a table.
type deadList struct {
	out    io.Writer
	asJSON bool
	table  *tabwriter.Writer
}

func (l *deadList) add(d votestream.DeadLetter) error {
	if l.asJSON {
		return json.NewEncoder(l.out).Encode(d)
	}
	if l.table == nil {
		l.table = tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(l.table, "ID\tFAILED AT\tREASON\tVOTE ID\tVOTE\tERROR")
	}
	message := strings.Join(strings.Fields(d.Error), " ") // in one line
	_, err := fmt.Fprintf(l.table, "%s\t%s\t%s\t%q\t%q\t%s\n",
		d.ID, d.FailedAt.Format(time.RFC3339), d.Reason, d.Fields["id"], d.Fields["vote"], message)
	return err
}

func (l *deadList) end(n int, unknown bool) error {
	if n == 0 && !l.asJSON && !unknown {
		fmt.Fprintln(l.out, "no dead letters")
	}
	if l.table == nil {
		return nil
	}
	return l.table.Flush()
}

// deadPage is the number of dead letters to read at once. Over a slow connection, or of large ones, it is halved until
// a page comes within the client's time-out.
const deadPage = 500

// deadLister is a [votestream.Queue].
type deadLister interface {
	ListDeadLetters(ctx context.Context, after string, n int64) ([]votestream.DeadLetter, error)
}

func walkDead(ctx context.Context, queue deadLister, visit func(votestream.DeadLetter) error) error {
	page := int64(deadPage)
	for after := ""; ; {
		letters, err := queue.ListDeadLetters(ctx, after, page)
		if page > 1 && ctx.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded) {
			page /= 2
			continue
		}
		if err != nil {
			return err
		}
		for _, d := range letters {
			if err := visit(d); err != nil {
				return err
			}
			after = d.ID
		}
		if int64(len(letters)) < page {
			return nil
		}
	}
}
