package inspect

import (
	"sync/atomic"
	"testing"

	"nsx/internal/testkit"
)

// TestNextOwnerOfAPID: between the scan and a look in depth a process may have
// died and its PID been given away. Whoever has it now has another start time,
// and none of its own may be shown as the dead one's.
func TestNextOwnerOfAPID(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, withUser("net")...)
	p := startIn(t, testkit.Config{New: withUser(), Mode: testkit.FDHolder, Apart: withUser("net")})
	var proc Machine
	look, err := newDetailsReader(proc, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer look.close()
	same := *scan(t, Options{}).Process(p.PID)
	earlier := same
	earlier.StartTicks--
	for _, c := range []struct {
		process *Process
		shown   bool
	}{{&same, true}, {&earlier, false}} {
		if d := look.read(c.process, new(atomic.Pointer[details])); (d.uid != nil) != c.shown || (d.cmdline != nil) != c.shown || (d.nsPIDs != nil) != c.shown {
			t.Errorf("started at %d: details %+v", c.process.StartTicks, d)
		}
		if proc.has(c.process) != c.shown {
			t.Errorf("started at %d: what was read early of it is told", c.process.StartTicks)
		}
		s := holderSearch{machine: proc, nsfs: nsfsDevice(), known: newGrouping(nil)}
		s.room.Store(maxHolders)
		if finds := s.descriptors(c.process); (len(finds) > 0) != c.shown {
			t.Errorf("started at %d: holders %+v", c.process.StartTicks, finds)
		}
	}
}

// TestDeadInTheMiddle: what was read of a process before it became a zombie is
// no longer true of it, but for its user and PID namespaces.
func TestDeadInTheMiddle(t *testing.T) {
	s := scanTree(t, Options{}, testkit.FakeProcess{PID: 5, State: 'Z', Extra: map[string]string{"ns/net -> net:[77]": ""}})
	if got := s.Process(5).NS; got != (NSSet{User: boot[User], PID: boot[PID]}) {
		t.Errorf("%v", got)
	}
	if s.Namespace(ID{Net, 77}) != nil {
		t.Error("its network namespace is in the list")
	}
}
