package config

import (
	"encoding"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type settings struct {
	Service
	Port     Port          `env:"PORT" envDefault:"8084"`
	Password string        `env:"REDIS_PASSWORD"`
	Result   Link          `env:"RESULT_URL"`
	Wait     time.Duration `env:"WAIT" envDefault:"2s"`
}

func TestLoadTakesDefaultsAndValues(t *testing.T) {
	var s settings
	if err := Load([]string{"LOG_LEVEL=debug\r", "RESULT_URL=http://localhost:8085/"}, &s); err != nil {
		t.Fatal(err)
	}
	if s.Port.On(s.Host) != ":8084" || s.OpsPort != 9464 || s.LogLevel != LogLevel(slog.LevelDebug) ||
		s.LogFormat != "json" ||
		s.Wait != 2*time.Second || s.Result != "http://localhost:8085" {
		t.Errorf("settings = %+v", s)
	}
}

func TestLoadNamesEveryBadVariableAtOnce(t *testing.T) {
	var s settings
	err := Load([]string{"PORT=eighty", "OPS_PORT=70000", "LOG_LEVEL=loud", "LOG_FORMAT=xml", "PPROF=maybe",
		"RESULT_URL=example.org",
		"WAIT=soon", "REDIS_PASSWORD_FILE=/does/not/exist"}, &s)
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		`PORT="eighty"`, `OPS_PORT="70000"`, `LOG_LEVEL="loud": not debug`, `LOG_FORMAT="xml"`,
		`PPROF="maybe": neither true nor false`,
		"RESULT_URL:",
		`WAIT="soon"`, "REDIS_PASSWORD_FILE: open /does/not/exist",
	} {
		if !strings.Contains(err.Error(), "\n  "+name) {
			t.Errorf("no line for %s in: %v", name, err)
		}
	}
}

// wantValues checks what texts become. For a zero value the text must be refused.
func wantValues[T comparable, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, values map[string]T) {
	t.Helper()
	var got, zero T
	for text, want := range values {
		got = zero
		if err := P(&got).UnmarshalText([]byte(text)); got != want || (err == nil) != (want != zero) {
			t.Errorf("%q became the %T %v, %v; want %v", text, got, got, err, want)
		}
	}
}

func TestLinksAreAbsoluteAndSafeInAPage(t *testing.T) {
	wantValues(t, map[string]Link{
		"http://localhost:8085":            "http://localhost:8085",
		"http://[::1]:8085/":               "http://[::1]:8085",
		"https://pets.example/result/":     "https://pets.example/result",
		`http://results.example/"><wince>`: "http://results.example/%22%3E%3Cwince%3E",
		`http://results.example"><wince>`:  "",
		"localhost:8085":                   "",
		"results":                          "",
		"http://":                          "",
		"http://user:secret@localhost/":    "",
		"http://localhost:8085/?a=b":       "",
		"http://localhost/#a":              "",
		"ftp://results.example":            "",
		"javascript:alert(1)":              "",
	})
}

func TestHostsCountsAndIntervalsHaveBounds(t *testing.T) {
	wantValues(t, map[string]Count{"1": 1, "65535": 65535, "": 0, "0": 0, "-1": 0, "65536": 0, "many": 0})
	wantValues(t, map[string]Host{
		"a": "a", "my_db-1.example.": "my_db-1.example.", "192.0.2.1": "192.0.2.1", "::1": "::1", "[::1]": "[::1]",
		"fe80::1%eth0": "fe80::1%eth0", "": "", "[]": "", "[::1": "", "::1]": "", "[[::1]]": "", "[a]": "", "a b": "",
		"a/b": "", "u@a": "", "a;b": "", "a,b": "", "a:1": "", "redis://a": "",
	})
	wantValues(t, map[string]Concurrency{"1": 1, "64": 64, "0": 0, "65": 0})
	wantValues(t, map[string]Interval{
		"10ms": 10e6, "1h": 3600e9, "9ms": 0, "0s": 0, "-1s": 0, "61m": 0, "25": 0, "": 0,
	})
}

// As the settings of Redis and PostgreSQL do.
func TestTwoStructsMayUseTheSameFieldNamesAndReadSecretsFromFiles(t *testing.T) {
	type redis struct {
		Port     Port   `env:"REDIS_PORT"`
		Password string `env:"REDIS_PASSWORD"`
	}
	type postgres struct {
		Port     Port   `env:"POSTGRES_PORT"`
		Password string `env:"POSTGRES_PASSWORD"`
	}
	var both struct {
		Redis    redis
		Postgres postgres
	}
	dir := t.TempDir()
	environ := []string{"REDIS_PORT=1", "POSTGRES_PORT=2"}
	for _, name := range []string{"REDIS_PASSWORD", "POSTGRES_PASSWORD"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name+" from a file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, name+"_FILE="+path)
	}
	if err := Load(environ, &both); err != nil || both.Redis != (redis{1, "REDIS_PASSWORD from a file"}) ||
		both.Postgres != (postgres{2, "POSTGRES_PASSWORD from a file"}) {
		t.Errorf("settings %+v, %v", both, err)
	}
	err := Load([]string{"REDIS_PORT=http://u:s3cret@h"}, &both)
	if err == nil || !strings.Contains(err.Error(), "REDIS_PORT: ") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a password in a wrong place: %v", err)
	}
	err = Load([]string{"REDIS_PORT=bad", "POSTGRES_PORT=2"}, &both)
	if err == nil || !strings.Contains(err.Error(), `REDIS_PORT="bad"`) || strings.Contains(err.Error(), "POSTGRES_PORT") {
		t.Errorf("err = %v", err)
	}
	if err := Load(append(environ, "REDIS_PASSWORD=other"), &both); err == nil {
		t.Error("a password given twice was accepted")
	}
}

func TestASiblingMayBeAPortOfTheSameHost(t *testing.T) {
	for text, want := range map[string]Sibling{
		":8085": ":8085", ":8085/": ":8085", ":8085/pets/": ":8085/pets", "https://pets.example/r/": "https://pets.example/r",
		"http://localhost:8085": "http://localhost:8085", ":": "", ":web": "", `:8085/"`: ":8085/%22", ":8085?a": "", "": "",
		":1@evil.example": "", "8085": "",
	} {
		var got Sibling
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; want %q", text, got, err, want)
		}
	}
}
