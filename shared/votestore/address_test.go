package votestore

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"petvote/infra/servers"
	"petvote/infra/testenv"
	"petvote/shared/config"
)

func TestTheConnectTimeoutOfAnAddressCounts(t *testing.T) {
	t.Parallel()
	direct := testenv.NewDatabase(t)
	u, err := url.Parse(direct)
	testenv.Must(t, err)
	u.Host = testenv.NewRelay(t, u.Host, servers.Delays{Connect: connectTimeout + 300*time.Millisecond}).Addr()
	slow := u.String()
	if err := openStore(t, slow).Ping(t.Context()); err == nil {
		t.Error("without connect_timeout a connection that takes longer than the default is made")
	}
	for _, parameter := range []string{"&connect_timeout=30", "&connect_timeout=0"} {
		s := openStore(t, slow+parameter)
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", parameter, err)
		}
		if _, err := s.Subscribe(t.Context()); err != nil {
			t.Errorf("%s: %v", parameter, err)
		}
	}
}

func TestParametersOfAnAddressAreObeyed(t *testing.T) {
	url := testenv.NewDatabase(t) + "&application_name=pets&statement_timeout=1234&pool_max_conns=3" +
		"&pool_max_conn_lifetime=7m&default_query_exec_mode=exec"
	s := openStore(t, url)
	for setting, want := range map[string]string{"application_name": "pets", "statement_timeout": "1234ms"} {
		var got string
		if err := s.pool.QueryRow(t.Context(), "show "+setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v", setting, got, err)
		}
	}
	cfg := s.pool.Config()
	mode := cfg.ConnConfig.DefaultQueryExecMode.String()
	if cfg.MaxConns != 3 || cfg.MaxConnLifetime != 7*time.Minute || mode != "exec" {
		t.Errorf("%d connections, %v, %s", cfg.MaxConns, cfg.MaxConnLifetime, mode)
	}
	migrate(t, s) // by text, where pgx would take the binary form
	record(t, s, newEntry("dogs"))
}

func TestABadParameterIsNamedAndNoPasswordShown(t *testing.T) {
	const address = "postgres://pets:hunter2@db/pets"
	for bad, want := range map[string]string{
		address + "?connect_timeout=soon":                        "connect_timeout",
		address + "?sslmode=maybe&connect_timeout=3":             "sslmode",
		address + "?pool_max_conns=1":                            "pool_max_conns must be at least 2",
		"postgres://pets:hunter2@db:0/pets":                      "with a port from 1 to 65535",
		address + "?pool_max_conns=0":                            "pool_max_conns",
		address + "?sslrootcert=/no/such/file&sslmode=verify-ca": "sslrootcert",
		address + "?default_query_exec_mode=fast":                "default_query_exec_mode",
		"mysql://pets:hunter2@db/pets":                           "postgres://user:password@host:port/database",
	} {
		var u DatabaseURL
		err := u.UnmarshalText([]byte(bad))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want a word of %s", bad, err, want)
		}
	}
}

func TestANameThatNeedsQuotesIsNoSchema(t *testing.T) {
	for name, good := range map[string]bool{
		"public": true, "pets_2": true, "Pets": false, "a.b": false, `a"b`: false, "": false,
	} {
		var s Schema
		if err := s.UnmarshalText([]byte(name)); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAnIPv6HostMayHaveBrackets(t *testing.T) {
	for _, host := range []config.Host{"::1", "[::1]"} {
		cfg, err := Config{Host: host, Port: 5432, User: "petvote", Database: "petvote"}.address().parse(2)
		if err != nil || cfg.ConnConfig.Host != "::1" {
			t.Errorf("%s: %v", host, err)
		}
	}
}
