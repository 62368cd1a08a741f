package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"petvote/infra/ledger"
	"petvote/infra/platform"
	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/ballot"
	"petvote/shared/votestream"
)

// What an operator does to Redis, to PostgreSQL or to the number of workers while votes come in.
func TestVotesAreStoredWhateverAnOperatorDoesMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.must(r.describe(platform.Worker, "CONSUMER_NAME=worker-1").Start(ctx)) // the name of the first
	redis := func(args ...any) error { return r.RDB.Do(ctx, args...).Err() }
	postgres := func(statement string) error {
		_, err := r.DB.Exec(ctx, statement)
		return err
	}
	r.during(100, func() {
		for what, do := range map[string]func() error{
			"group":       func() error { return redis("xgroup", "destroy", votestream.Stream, votestream.Group) },
			"scripts":     func() error { return redis("script", "flush") },
			"connections": func() error { return redis("client", "kill", "type", "normal") },
			"backends": func() error {
				return postgres(`select pg_terminate_backend(pid) from pg_stat_activity
					where pid <> pg_backend_pid() and usename = current_user and backend_type = 'client backend'`)
			},
			"column": func() error { return postgres(`alter table tally alter column pet type varchar`) },
			"session": func() error {
				return postgres(`alter role petvote set timezone = 'Asia/Kathmandu';
					alter role petvote set datestyle = 'German, DMY'`)
			},
		} {
			r.awaitAnswer(ledger.Accepted)
			if err := do(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			r.awaitAnswer(ledger.Accepted)
		}
		r.must(r.Postgres.Kill()) // its sessions begin anew, with the role's settings
		r.must(r.Postgres.Start(ctx))
		r.awaitAnswer(ledger.Accepted)
	})
	r.audit()
	before := len(r.stored())
	r.must(redis("flushall"))
	last := r.vote(ballot.Dogs)
	r.eventually(func() error {
		if n := len(r.stored()); n != before+1 {
			return fmt.Errorf("%d votes are stored, want %d", n, before+1)
		}
		return nil
	})
	// Without the right to run scripts there are no figures of the queue, which is no reason to refuse votes.
	r.must(redis("acl", "setuser", "default", "-eval_ro", "-evalsha_ro"))
	for range 8 {
		r.exported(r.Vote)
	}
	r.vote(ballot.Cats)
	if open := sum(r.exported(r.Vote), `petvote_breaker_state{petvote_policy="redis"}`); open != 0 {
		t.Errorf("the breaker of votes is in state %v", open)
	}
	var got receipt
	r.must(r.get(r.Result.URL("/votes/"+last.Vote.String()), &got))
	if d := got.StoredAt.Sub(got.CastAt); d < 0 || d > patience {
		t.Errorf("cast at %v and stored at %v", got.CastAt, got.StoredAt)
	}
}

// A user whose password needs quoting everywhere, by TLS, with a certificate that only SSL_CERT_FILE makes trusted.
func TestRedisIsReachedByTLSWithAPrivateCAAndAnOddPassword(t *testing.T) {
	t.Parallel()
	port, err := servers.FreePort()
	testenv.Must(t, err)
	dir := testenv.NewFolder(t)
	for name, text := range selfSigned(t) {
		testenv.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	testenv.Must(t, os.Chmod(dir, 0o755))
	file := func(name string) string { return filepath.Join(dir, name) }
	r := newRig(t, withRedis(func(c *servers.RedisConfig) {
		c.Args = []string{"--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no", "--tls-cert-file", file("cert.pem"),
			"--tls-key-file", file("key.pem"), "--tls-ca-cert-file", file("cert.pem"),
			"--user", "pets", "on", "~*", "+@all", ">p@ss/w:rd#%?-ü"}
	}), withEnv("SSL_CERT_FILE="+file("cert.pem"),
		fmt.Sprintf("REDIS_URL=rediss://pets:p%%40ss%%2Fw%%3Ard%%23%%25%%3F-%%C3%%BC@127.0.0.1:%d", port)))
	r.vote(ballot.Cats)
	r.shows(ballot.Counts{Cats: 1})
	clients, err := r.RDB.ClientList(t.Context()).Result()
	if err != nil || !strings.Contains(clients, "user=pets") {
		t.Errorf("%v, nobody came as pets: %s", err, clients)
	}
}
