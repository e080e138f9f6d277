package testkit

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// MaxProcesses is the most that a crowd may bring the machine to, unless it is
// one of the lab's. A machine out of PIDs is lost: nothing can fork any more, not
// even to kill us.
const MaxProcesses = 20000

// sparePIDs is how many numbers are left free in any case.
const sparePIDs = 3000

// CrowdConfig describes many processes.
type CrowdConfig struct {
	// N is the number of processes.
	N int
	// Every is how many of them share a set of new namespaces: one leader, who
	// is the parent of the rest. 0 means all.
	Every int
	// New is the types of the namespaces to create for each set; "user" gets
	// the same map as a fixture's. Without any, sets are only families.
	New []string
	// Comm is their name, if not that of the program.
	Comm string
	// Forks leaves them forks of the helper, which are made in half the time;
	// see asleep.
	Forks bool
}

// CrowdHandle is a running crowd.
type CrowdHandle struct {
	N       int           // how many processes there are
	Sets    int           // in how many sets
	Leaders []int         // the PID of each set's first process
	Helper  int           // the PID of the leaders' parent, which is not counted
	Ready   time.Duration // what it took to start them

	h    *helper
	stop sync.Once
	err  error
}

// Crowd starts many processes and ends them after the test.
func Crowd(t testing.TB, c CrowdConfig) *CrowdHandle {
	t.Helper()
	crowd, err := StartCrowd(c)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := crowd.Stop(); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return crowd
}

// crowdOrder is what the helper is told, crowdReport what it answers.
type crowdOrder struct {
	N, Every int
	Flags    uintptr
	Comm     []byte
	Forks    bool
}

type crowdReport struct {
	Error   string
	Leaders []int
}

// StartCrowd is Crowd for programs that are no tests; call Stop in the end.
func StartCrowd(c CrowdConfig) (*CrowdHandle, error) {
	if c.N <= 0 {
		return nil, fmt.Errorf("crowd of %d processes", c.N)
	}
	flags, err := CloneFlags(c.New...)
	if err != nil {
		return nil, err
	}
	if c.Every <= 0 || c.Every > c.N {
		c.Every = c.N
	}
	if flags == 0 {
		// One flat family of 10,000 is slow to make and slower to end.
		c.Every = min(c.Every, 250)
	}
	if err := roomFor(c.N); err != nil {
		return nil, err
	}
	begin := time.Now()
	l := launch{role: "crowd", spec: crowdOrder{N: c.N, Every: c.Every, Flags: flags, Comm: []byte(c.Comm), Forks: c.Forks}}
	h, err := l.start()
	if err != nil {
		return nil, err
	}
	var rep crowdReport
	err = h.answer(&rep, crowdPatience())
	if err == nil && rep.Error != "" {
		err = errors.New(rep.Error)
	}
	if err != nil {
		h.kill(10 * time.Second)
		return nil, fmt.Errorf("crowd: %w", err)
	}
	return &CrowdHandle{
		N: c.N, Sets: len(rep.Leaders), Leaders: rep.Leaders, Helper: h.cmd.Process.Pid,
		Ready: time.Since(begin), h: h,
	}, nil
}

// Stop ends all processes and waits until they are gone.
func (c *CrowdHandle) Stop() error {
	c.stop.Do(func() {
		c.h.control.Close()
		select {
		case <-c.h.dead:
			if !c.h.cmd.ProcessState.Success() {
				c.err = c.h.explain(errors.New("crowd ended badly"))
			}
		case <-time.After(crowdPatience()):
			c.err = fmt.Errorf("crowd did not end within %v", crowdPatience())
		}
		c.h.kill(0)
	})
	return c.err
}

// crowdPatience is how long a crowd may take to come or to go.
func crowdPatience() time.Duration {
	if os.Getenv(SlowEnv) != "" {
		return Lifetime
	}
	return 2 * time.Minute
}

// roomFor refuses n more processes if that leaves too few PIDs.
func roomFor(n int) error {
	limit := MaxProcesses + sparePIDs
	if inLab() {
		limit = math.MaxInt // only the kernel's own applies
	}
	for _, name := range []string{"pid_max", "threads-max"} {
		data, err := os.ReadFile("/proc/sys/kernel/" + name)
		if err != nil {
			return err
		}
		v, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return err
		}
		limit = min(limit, v)
	}
	// The fourth field is "runnable/all" scheduling entities: threads count.
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 4 {
		return fmt.Errorf("/proc/loadavg: malformed: %q", data)
	}
	_, all, _ := strings.Cut(fields[3], "/")
	have, err := strconv.Atoi(all)
	if err != nil {
		return err
	}
	if have+n+sparePIDs > limit {
		return fmt.Errorf("%d more processes do not fit: %d threads run, the limit is %d, and %d stay free", n, have, limit, sparePIDs)
	}
	return nil
}

// PIDs is the live processes of the crowd: the leaders and their children.
// It reads all of /proc.
func (c *CrowdHandle) PIDs() []int {
	pids := slices.Clone(c.Leaders)
	for _, pid := range allPIDs() {
		if ppid, err := parentOf(pid); err == nil && slices.Contains(c.Leaders, ppid) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}
