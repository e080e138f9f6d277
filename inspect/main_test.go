package inspect

import (
	"os"
	"testing"

	"nsx/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(claimantEnv) != "" {
		os.Exit(playClaimant())
	}
	os.Exit(testkit.Main(m))
}
