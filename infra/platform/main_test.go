package platform

import (
	"os"
	"testing"

	"petvote/infra/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
