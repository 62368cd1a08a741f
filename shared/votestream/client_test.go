package votestream

import (
	"strings"
	"testing"
	"time"

	"petvote/infra/testenv"
	"petvote/shared/config"
)

func TestABadURLIsNamedByItsBadPartWithoutThePassword(t *testing.T) {
	for address, want := range map[string]string{
		"http://:s3cret@h:1":                       "invalid URL scheme: http",
		"rediss://:s3cret@h:1?ssl_cert_reqs=none":  "unexpected option: ssl_cert_reqs",
		"redis://:s3cret@h:1/pets":                 `invalid database number: "pets"`,
		"redis://:s3cret@h:1/0/1":                  "invalid URL path: /0/1",
		"redis://:s3cret@h:1?db=x":                 "invalid database number",
		"redis://:s3cret@h:1?dial_timeout=soon":    "invalid dial_timeout duration",
		"redis://:s3cret@h:1?max_retries=3":        "the option max_retries can't be set",
		"redis://:s3cret@h:1?pool_size=3":          "the option pool_size can't be set",
		"redis://h:port":                           "must be percent-encoded",
		"redis://u:s3cret/s3cret@h:1":              "must be percent-encoded",
		"redis://u:12/s3cret@h:1":                  "must be percent-encoded",
		"redis://u:12?s3cret@h:1":                  "must be percent-encoded",
		"redis://u:12#s3cret@h:1":                  "must be percent-encoded",
		"redis://u:%s3cret@h:1":                    "must be percent-encoded",
		"localhost:6379":                           "names no host",
		"u:s3cret@localhost":                       "names no host",
		"localhost":                                "names no host",
		"redis://u:s3cret@h:1?read_timeout=s3cret": "invalid read_timeout duration",
		"redis://u:s3cret@h:0":                     "its port is not a number from 1 to 65535",
		"redis://u:s3cret@a;b":                     "its host is not the name or IP address of a host",
		"redis://u:s3,cret@h:1,h:2":                "each URL must begin with redis:// or rediss://",
		"a":                                        "names no host",
		"redis://h:1,h:2":                          "each URL must begin with redis:// or rediss://",
	} {
		var u URLs
		err := u.UnmarshalText([]byte(address))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") && !strings.Contains(address, "=s3cret") {
			t.Errorf("%s: the error shows the password: %v", address, err)
		}
	}
}

func TestTheAddressIsTakenAsGiven(t *testing.T) {
	dial := func(environ ...string) (addr, user, password string, dialTimeout time.Duration) {
		t.Helper()
		var c Config
		testenv.Must(t, config.Load(environ, &c))
		rdb := c.Dial(0)[0]
		defer rdb.Close()
		o := rdb.Options()
		return o.Addr, o.Username, o.Password, o.DialTimeout
	}
	addr, user, password, wait := dial("REDIS_HOST=[::1]", "REDIS_USERNAME=vote", "REDIS_PASSWORD=p@ss/w:rd#%? ")
	if addr != "[::1]:6379" || user != "vote" || password != "p@ss/w:rd#%? " || wait != dialTimeout {
		t.Errorf("%s, %s, %q, %v", addr, user, password, wait)
	}
	addr, user, password, wait = dial("REDIS_HOST=elsewhere",
		"REDIS_URL=rediss://vote:p%2Fss@[::1]:7000/3?dial_timeout=3s")
	if addr != "[::1]:7000" || user != "vote" || password != "p/ss" || wait != 3*time.Second {
		t.Errorf("%s, %s, %q, %v", addr, user, password, wait)
	}
}

func TestQueuesAreAListInWhichEachHasItsPlaceAsItsName(t *testing.T) {
	for setting, want := range map[string]string{
		"REDIS_HOST=a":                               "a:7000 0 redis",
		"REDIS_HOST=a,b:1,[::1]":                     "a:7000 0 redis-0, b:1 1 redis-1, [::1]:7000 2 redis-2",
		"REDIS_HOST=a, [::1]:8":                      "a:7000 0 redis-0, [::1]:8 1 redis-1",
		"REDIS_HOST=a:1,a:2":                         "a:1 0 redis-0, a:2 1 redis-1",
		"REDIS_URL=redis://a:1":                      "a:1 0 redis",
		"REDIS_URL=redis://a:1?client_name=b,c":      "a:1 0 redis",
		"REDIS_URL=redis://a:1/0,redis://a:1/1":      "a:1 0 redis-0, a:1 1 redis-1",
		"REDIS_URL=redis://u:p,w@a:1,rediss://b:2/3": "a:1 0 redis-0, b:2 1 redis-1",
	} {
		var c Config
		testenv.Must(t, config.Load([]string{setting, "REDIS_PORT=7000"}, &c))
		var got []string
		for _, rdb := range c.Dial(0) {
			got = append(got, rdb.Options().Addr+" "+rdb.Queue()+" "+rdb.Name())
			_ = rdb.Close()
		}
		if list := strings.Join(got, ", "); list != want {
			t.Errorf("%s: %s, want %s", setting, list, want)
		}
	}
	for setting, want := range map[string]string{
		"REDIS_HOST=a,":                                "not of the form host, host:port",
		"REDIS_HOST=:6379":                             "not of the form host, host:port",
		"REDIS_HOST=a, redis a":                        "not of the form host, host:port",
		"REDIS_HOST=[::1":                              "not of the form host, host:port",
		"REDIS_HOST=a,redis://b":                       "did you mean REDIS_URL?",
		"REDIS_PORT=0":                                 `REDIS_PORT="0": not a number from 1 to 65535`,
		"REDIS_HOST=a:b":                               "the port of a is not a number from 1 to 65535",
		"REDIS_HOST=a:":                                "the port of a is not a number from 1 to 65535",
		"REDIS_HOST=a:0":                               "the port of a is not a number from 1 to 65535",
		"REDIS_HOST=a,b,a":                             "it names the same queue twice",
		"REDIS_HOST=Redis:1,redis:1":                   "it names the same queue twice",
		"REDIS_HOST=localhost,localhost:1":             "it names the same queue twice",
		"REDIS_HOST=[::1],::1":                         "it names the same queue twice",
		"REDIS_HOST=" + strings.Repeat("a,", 16) + "b": "more than 16 queues",
		"REDIS_URL=redis://a:1,http://b:1":             "invalid URL scheme: http",
		"REDIS_URL=redis://a:1,redis://a:1":            "it names the same queue twice",
		"REDIS_URL=redis://a,redis://u:p@A:6379/0":     "it names the same queue twice",
		"REDIS_URL=redis://a:1,":                       "a URL is missing before or after a comma",
		"REDIS_URL=redis://a:1, ,redis://b:1":          "a URL is missing before or after a comma",
		"REDIS_URL=,redis://a:1":                       "a URL is missing before or after a comma",
	} {
		var c Config
		if err := config.Load([]string{setting}, &c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", setting, err, want)
		}
	}
}
