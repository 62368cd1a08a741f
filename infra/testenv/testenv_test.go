package testenv_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func TestDatabasesAreSeparateEmptyAndDroppedWithTheirTestThoughConnectionsAreOpen(t *testing.T) {
	var urls []string
	t.Run("test", func(t *testing.T) {
		for range 2 {
			url := testenv.NewDatabase(t)
			urls = append(urls, url)
			conn, err := pgx.Connect(t.Context(), url)
			testenv.Must(t, err)
			if _, err := conn.Exec(t.Context(), "create table pets (name text)"); err != nil {
				t.Errorf("a new database is not empty: %v", err)
			}
		}
	})
	for _, url := range urls {
		if _, err := pgx.Connect(t.Context(), url); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("got %v", err)
		}
	}
}

// ending names the way in which TestProgramThatEnds ends, when it runs as the child of the test below it.
const ending = "PETVOTE_TEST_ENDING"

// TestProgramThatEnds is the program that must leave nothing behind; run by itself it does nothing.
func TestProgramThatEnds(t *testing.T) {
	how := os.Getenv(ending)
	if how == "" {
		return
	}
	redis, postgres := testenv.NewRedis(t), testenv.NewPostgres(t)
	testenv.NewDatabase(t)
	if how == "killed while paused" {
		testenv.Must(t, errors.Join(redis.Pause(), postgres.Pause()))
	}
	fmt.Printf("\nservers %d %d %s\n", redis.PID(), postgres.PID(), filepath.Dir(redis.Dir))
	switch how {
	case "passes":
	case "fails":
		t.Fatal("as it should")
	case "panics":
		panic("as it should")
	default:
		select {}
	}
}

func TestNothingIsLeftHoweverTheTestProgramEnds(t *testing.T) {
	for _, how := range []string{"passes", "fails", "panics", "killed", "killed while paused"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestProgramThatEnds$")
			cmd.Env = append(os.Environ(), ending+"="+how)
			out, err := cmd.StdoutPipe()
			testenv.Must(t, err)
			testenv.Must(t, cmd.Start())
			var redis, postgres int
			var folder string
			lines := bufio.NewScanner(out)
			for folder == "" && lines.Scan() {
				_, _ = fmt.Sscanf(lines.Text(), "servers %d %d %s", &redis, &postgres, &folder)
			}
			if strings.HasPrefix(how, "killed") {
				testenv.Must(t, cmd.Process.Kill())
			}
			for lines.Scan() { // to its end, so that a full pipe does not hold it up
			}
			err = cmd.Wait()
			if folder == "" {
				t.Fatalf("it never said where its servers are: %v", err)
			}
			if passed := err == nil; passed != (how == "passes") {
				t.Errorf("it ended with %v", err)
			}
			testenv.Eventually(t, func() error {
				if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("folder %s is left (%v)", folder, err)
				}
				for _, pid := range []int{redis, postgres} {
					state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
					if err == nil && !strings.HasPrefix(string(state), "Z") {
						return fmt.Errorf("server %d is left", pid)
					}
				}
				return nil
			})
		})
	}
}

func TestAMissingServerFailsTheTestWithInstructions(t *testing.T) {
	if os.Getenv(ending) == "no redis" {
		testenv.NewRedis(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAMissingServerFailsTheTestWithInstructions$")
	cmd.Env = append(os.Environ(), ending+"=no redis", "PATH="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "redis-server is not installed: run ./infra/packages/install redis") {
		t.Errorf("%v:\n%s", err, out)
	}
}
