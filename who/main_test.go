package who

import (
	"os"
	"testing"

	"nsx/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
