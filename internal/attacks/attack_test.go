package attacks

import (
	"os"
	"testing"
)

// peersEnv has the attacks run on nsx's peers too, and what these lose logged.
const peersEnv = "NSX_ATTACKS_PEERS"

// attack runs an entry and says what it took that it must not have, "" if nothing.
type attack func(t *testing.T, e entrant) (taken string)

// resist holds nsx against an attack, with the attacker's target made by try.
func resist(t *testing.T, try attack, peers ...entrant) {
	t.Helper()
	if taken := try(t, nsx); taken != "" {
		t.Errorf("the attack succeeded: %s", taken)
	}
	if os.Getenv(peersEnv) == "" {
		return
	}
	for _, peer := range peers {
		taken := try(t, peer)
		if taken == "" {
			taken = "nothing"
		}
		t.Logf("PEER %s %s: %s", t.Name(), peer.name, taken)
	}
}

// unless is the evidence, unless the tool hung, which is an attack's success too.
func (o outcome) unless(evidence string) string {
	if o.hung {
		return o.String()
	}
	return evidence
}
