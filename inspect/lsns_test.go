package inspect

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nsx/internal/testkit"
)

// TestAgreesWithLsns: the namespaces of the fixtures, their processes and how
// many they are, are those that lsns(8) lists. Other processes come and go.
func TestAgreesWithLsns(t *testing.T) {
	testkit.CheckLeaks(t)
	lsns := testkit.RequireProgram(t, "lsns")
	var ours []int
	add := func(c testkit.Config) {
		p := startIn(t, c)
		ours = append(ours, p.PID)
		ours = append(ours, p.Levels...)
		if p.Child != 0 {
			ours = append(ours, p.Child)
		}
	}
	for _, typ := range Types {
		add(testkit.Config{New: withUser(typ.String())})
	}
	add(testkit.Config{New: testkit.AllNS})
	add(testkit.Config{New: withUser("user"), Depth: 3})
	add(testkit.Config{New: withUser("pid"), Depth: 3})
	add(testkit.Config{New: testkit.AllNS, Depth: 2})
	add(testkit.Config{New: withUser("pid", "net"), Mode: testkit.Zombie})
	add(testkit.Config{New: withUser("ipc"), Mode: testkit.ThreadElsewhere})
	add(testkit.Config{New: withUser("ipc"), Mode: testkit.DeadLeader})
	add(testkit.Config{New: withUser("uts"), Mode: testkit.Stopped})
	add(testkit.Config{New: withUser("uts"), Mode: testkit.PIDForChildrenAlive})
	crowd := testkit.Crowd(t, testkit.CrowdConfig{N: 60, Every: 6, New: withUser("net", "pid")})
	ours = append(ours, crowd.PIDs()...)
	known := map[int]bool{}
	for _, pid := range ours {
		known[pid] = true
	}

	want := peerList(t, lsns)
	s := scan(t, Options{})
	compared := map[Type]int{}
	for _, n := range s.Namespaces {
		if len(n.PIDs) == 0 || slices.ContainsFunc(n.PIDs, func(pid int) bool { return !known[pid] }) {
			continue
		}
		compared[n.Type]++
		// lsns shows the lowest PID.
		if got := (peerRow{NProcs: len(n.PIDs), PID: slices.Min(n.PIDs)}); want[n.ID()] != got {
			t.Errorf("%s: %+v, lsns says %+v", n.ID(), got, want[n.ID()])
		}
	}
	for _, typ := range Types {
		if compared[typ] < 4 {
			t.Errorf("only %d namespaces of type %s were compared", compared[typ], typ)
		}
	}
	// And there is none of the fixtures' that only lsns sees.
	for id, row := range want {
		if known[row.PID] && s.Namespace(id) == nil {
			t.Errorf("%s: only lsns sees it: %+v", id, row)
		}
	}
}

type peerRow struct{ NProcs, PID int }

// peerList is what lsns says. It prints nothing at all when a process dies
// while it looks, so it gets a few goes.
func peerList(t *testing.T, lsns string) map[ID]peerRow {
	t.Helper()
	var out []byte
	var err error
	for range 20 {
		if out, err = exec.Command(lsns, "-J", "-o", "NS,TYPE,NPROCS,PID").Output(); err == nil {
			break
		}
	}
	testkit.Require(t, err == nil || !namesWithNewline(), "needs a machine without processes whose names have a newline: lsns gives up at them")
	var list struct {
		Namespaces []struct {
			NS          uint64
			Type        string
			NProcs, PID int
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("lsns: %w", err))
	}
	rows := map[ID]peerRow{}
	for _, n := range list.Namespaces {
		typ, err := ParseType(n.Type)
		if err != nil {
			t.Fatal(err)
		}
		rows[ID{typ, n.NS}] = peerRow{n.NProcs, n.PID}
	}
	return rows
}

// namesWithNewline says that a process has such a name, of which lsns of util-linux
// 2.38 cannot read /proc/PID/stat.
func namesWithNewline() bool {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	return slices.ContainsFunc(names, func(name string) bool {
		comm, err := os.ReadFile(name)
		return err == nil && strings.Contains(strings.TrimSuffix(string(comm), "\n"), "\n")
	})
}
