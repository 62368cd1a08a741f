package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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
	c, err := parseDead(args, out)
	if err != nil {
		return err
	}
	var cfg struct{ Redis votestream.Config }
	if err := config.Load(environ, &cfg); err != nil {
		return err
	}
	clients := cfg.Redis.Dial(0)
	named := c.byQueue()
	done := 0
	var errs []error
	for _, rdb := range clients {
		defer rdb.Close()
		ids := named[rdb.Queue()]
		delete(named, rdb.Queue())
		if len(c.ids) > 0 && len(ids) == 0 {
			continue // it is not concerned, and may be down
		}
		prefix := ""
		if len(clients) > 1 {
			prefix = rdb.Queue() + "/"
		}
		n, err := c.run(ctx, rdb, prefix, ids)
		done, errs = done+n, append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		errs = append(errs, fmt.Errorf("there is no queue %q", name))
	}
	err = errors.Join(errs...)
	if c.do == nil {
		return errors.Join(err, c.list.end(done == 0 && err == nil))
	}
	fmt.Fprintf(out, "%d %s\n", done, c.doing)
	return err
}

// deadCommand lists dead letters, or does something to some or all of them.
type deadCommand struct {
	list  deadList
	do    func(*votestream.Queue, context.Context, string) error // nil: list
	doing string
	ids   []string // none: all
}

func parseDead(args []string, out io.Writer) (c deadCommand, err error) {
	flags := flag.NewFlagSet("worker dead", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON, all := flags.Bool("json", false, ""), flags.Bool("all", false, "")
	command, rest := "", args
	if len(args) > 0 {
		command, rest = args[0], args[1:]
	}
	if err := flags.Parse(rest); err != nil {
		return c, fmt.Errorf("%w\n%s", err, deadUsage)
	}
	c.ids, c.list = flags.Args(), deadList{out: out, asJSON: *asJSON}
	named, problem := len(c.ids) > 0, ""
	switch command {
	case "list":
		if *all || named {
			problem = "list takes neither -all nor IDs"
		}
	case "replay":
		c.do, c.doing = (*votestream.Queue).Replay, "replayed"
	case "drop":
		c.do, c.doing = (*votestream.Queue).Drop, "dropped"
	case "":
		problem = "a command is missing"
	default:
		problem = fmt.Sprintf("there is no command %q", command)
	}
	switch {
	case c.do == nil:
	case *asJSON:
		problem = command + " does not take -json"
	case named && (*all || slices.Contains(c.ids, "-all")): // flags end at the first ID
		problem = "-all and IDs exclude each other"
	case !*all && !named:
		problem = command + " needs IDs, or -all"
	}
	if problem != "" {
		return c, fmt.Errorf("%s\n%s", problem, deadUsage)
	}
	return c, nil
}

// byQueue returns the IDs by queue. One without a queue, "<queue>/<ID>", is of the first.
func (c deadCommand) byQueue() map[string][]string {
	named := map[string][]string{}
	for _, id := range c.ids {
		queue, rest, ok := strings.Cut(id, "/")
		if !ok {
			queue, rest = "0", id
		}
		named[queue] = append(named[queue], rest)
	}
	return named
}

// run carries the command out on the dead letters of one queue that have these IDs, or all if there are none. It
// returns their number. The prefix tells the queue's IDs from those of others.
func (c *deadCommand) run(ctx context.Context, rdb *votestream.Client, prefix string, ids []string) (n int, err error) {
	queue := votestream.NewQueue(rdb)
	_, err = queue.MoveFormerKeys(ctx)
	if err == nil && len(ids) == 0 {
		err = walkDead(ctx, queue, func(d votestream.DeadLetter) error {
			ids = append(ids, d.ID)
			d.ID = prefix + d.ID
			if c.do == nil {
				return c.list.add(d)
			}
			return nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("can't use Redis at %s, set by REDIS_HOST and REDIS_PORT or by REDIS_URL: %w",
			rdb.Options().Addr, err)
	}
	if c.do == nil {
		return len(ids), nil
	}
	var errs []error
	for _, id := range ids {
		if err := c.do(queue, ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", prefix, id, err))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
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

func (l *deadList) end(empty bool) error {
	if empty && !l.asJSON {
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
