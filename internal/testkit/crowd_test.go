package testkit

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCrowd(t *testing.T) {
	CheckLeaks(t)
	RequireNS(t, AllNS...)
	c := Crowd(t, CrowdConfig{N: 100, Every: 8, New: AllNS, Comm: "crowded"})
	if c.Sets != 13 || len(c.Leaders) != 13 {
		t.Fatalf("%d sets, leaders %v", c.Sets, c.Leaders)
	}
	pids := c.PIDs()
	if len(pids) != 100 {
		t.Fatalf("%d processes", len(pids))
	}
	perNS := map[string]int{}
	for _, pid := range pids {
		for _, name := range AllNS {
			inode, err := ReadNS(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
			if err != nil {
				t.Fatal(err)
			}
			if inode == ownNS(t, name) {
				t.Errorf("%d: %s is not new", pid, name)
			}
			perNS[fmt.Sprintf("%s:[%d]", name, inode)]++
		}
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) != "crowded\n" {
			t.Errorf("comm %q, %v", comm, err)
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); !strings.HasPrefix(exe, "/memfd:sleeper") {
			t.Errorf("%d shares our memory: exe %q, %v", pid, exe, err)
		}
	}
	if len(perNS) != 13*len(AllNS) {
		t.Errorf("%d namespaces, want %d", len(perNS), 13*len(AllNS))
	}
	for id, n := range perNS {
		if n != 8 && n != 100%8 {
			t.Errorf("%d processes in %s", n, id)
		}
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("%d after Stop: %v", pid, err)
		}
	}
}

func TestCrowdDiesWithItsHelper(t *testing.T) {
	c := Crowd(t, CrowdConfig{N: 60, Every: 20})
	pids := c.PIDs()
	if len(pids) != 60 {
		t.Fatalf("%d processes", len(pids))
	}
	if err := unix.Kill(c.Helper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		stat := fmt.Sprintf("/proc/%d/stat", pid)
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			state, err := stateOf(stat)
			if err != nil || state == 'Z' || state == 'X' {
				break // process 1 reaps it in its own time
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d lives on in state %c", pid, state)
			}
		}
	}
	if err := c.Stop(); err == nil {
		t.Error("Stop saw no harm")
	}
	c.err = nil // for the clean-up, which would complain too
}

func TestCrowdLeavesRoom(t *testing.T) {
	if _, err := StartCrowd(CrowdConfig{N: MaxProcesses + 1}); err == nil {
		t.Fatal("started more processes than allowed")
	}
}

func TestForkStorm(t *testing.T) {
	CheckLeaks(t)
	s := ForkStorm(t)
	// How fast processes are born is the machine's business; that it goes on is ours.
	during := s.Stats()
	for deadline := time.Now().Add(20 * time.Second); during.Born < 50 && time.Now().Before(deadline); during = s.Stats() {
		time.Sleep(10 * time.Millisecond)
	}
	after := s.Stop()
	t.Logf("%+v, then %+v", during, after)
	if during.Born < 50 || after.Born < during.Born || after.Died != after.Born || after.InNew == 0 || after.MaxAlive > stormAlive {
		t.Errorf("%+v, then %+v", during, after)
	}
}
