package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nsx/enter"
	"nsx/inspect"
	"nsx/internal/testkit"
)

// soakScans are the scans, from the quickest to the most thorough.
var soakScans = []inspect.Options{
	{},
	{Relations: true, Binds: true, Details: inspect.LeaderDetails},
	{Cgroups: true, Sets: true},
	{Relations: true, Cgroups: true, Details: inspect.AllDetails, Threads: true},
	{Relations: true, Holders: true, ForChildren: true},
}

// scan is one scan, which must see ourselves as we are.
func (v *visit) scan() {
	o := soakScans[v.Scans%len(soakScans)]
	v.Scans++
	s, err := inspect.Scan(v.Context(), o)
	if err != nil {
		v.Fatalf("scan with %+v: %v", o, err)
	}
	own, err := testkit.ReadNS("/proc/self/ns/uts")
	if err != nil {
		v.Fatal(err)
	}
	if p := s.Process(os.Getpid()); p == nil || p.NS[inspect.UTS] != own {
		v.Fatalf("scan with %+v: we are in uts:[%d], and not %+v", o, own, p)
	}
	for _, u := range s.Unreadable {
		if p := s.Process(u.PID); u.What == "namespaces" && p != nil && v.wronglyRefused(p) {
			v.Fatalf("scan with %+v: %+v, but they can be read, time and again", o, u)
		}
	}
}

// wronglyRefused says that nsx cannot read the namespaces of that very process,
// and we can. A process may be shut to us at one moment and open at the next (see
// inspect/lookagain.go), in either order. So nsx is wrong only if it refuses again
// and again what is open before each time and after it.
func (v *visit) wronglyRefused(p *inspect.Process) bool {
	for range 10 {
		if !v.canRead(p) {
			return false
		}
		s, err := inspect.Scan(v.Context(), inspect.Options{})
		if err != nil {
			v.Fatal(err)
		}
		if now := s.Process(p.PID); now == nil || now.NS != (inspect.NSSet{}) || !v.canRead(p) {
			return false
		}
	}
	return true
}

// canRead says whether we may read the namespaces of that very process.
func (v *visit) canRead(p *inspect.Process) bool {
	if _, err := testkit.ReadNS(fmt.Sprintf("/proc/%d/ns/uts", p.PID)); err != nil {
		return false
	}
	now, err := inspect.Resolve(v.Context(), strconv.Itoa(p.PID))
	if err != nil {
		return false
	}
	defer now.Close()
	return now.StartTicks == p.StartTicks
}

// inside is a command that ends with status 7 in that UTS namespace, and with 8
// in any other.
func inside(uts uint64) []string {
	return []string{"sh", "-c", fmt.Sprintf(`test "$(readlink /proc/self/ns/uts)" = "uts:[%d]" && exit 7; exit 8`, uts)}
}

// enter enters a process by the library. Its error is one of the way in, or that
// of a command that was ended; nil means that the command was where it should be.
func (v *visit) enter(pid int, uts uint64) error {
	v.Entries++
	target, err := inspect.Resolve(v.Context(), strconv.Itoa(pid))
	if err != nil {
		return err
	}
	defer target.Close()
	plan, err := enter.NewPlan(context.Background(), enter.AllOf(target), enter.Options{OwnCgroup: v.own, OwnEnv: v.own})
	if err != nil {
		return err
	}
	defer plan.Close()
	command := inside(uts)
	cmd := enter.Command(plan, command[0], command[1:]...)
	cmd.Env = os.Environ()
	err = cmd.Run()
	if exit, ok := errors.AsType[*enter.ExitError](err); ok && exit.ShellStatus() == 7 {
		return nil
	} else if ok && exit.ShellStatus() == 8 {
		v.Fatalf("entered process %d, and was in another UTS namespace than uts:[%d]", pid, uts)
	}
	return err
}

// said is what nsx did.
type said struct {
	status   int // -1: a signal ended it
	out, err string
}

func (s said) String() string { return fmt.Sprintf("status %d, said %.2000q", s.status, s.err) }

// program runs a program, which must end.
func (v *visit) program(cmd *exec.Cmd) said {
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	cmd.WaitDelay = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if startErr := cmd.Start(); startErr != nil {
		v.Fatal(startErr)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGQUIT) })()
	waitErr := cmd.Wait()
	s := said{cmd.ProcessState.ExitCode(), out.String(), err.String()}
	if ctx.Err() != nil {
		v.Fatalf("%s: it hung: %v, %s", cmd.Args, waitErr, s)
	}
	return s
}

var nsxSaid = regexp.MustCompile(`^(nsx: .*\n|[0-9]+ of [0-9]+ .* unreadable.*\n)+$`)

// nsx runs nsx, which must not fall apart.
func (v *visit) nsx(args ...string) said { return v.checked(as("nsx", args...)) }

func (v *visit) checked(cmd *exec.Cmd) said {
	s := v.program(cmd)
	if s.err != "" && !nsxSaid.MatchString(s.err) {
		v.Fatalf("%s: %s", cmd.Args, s)
	}
	return s
}

// list has nsx look at everything.
func (v *visit) list() {
	v.Scans++
	own, err := testkit.ReadNS("/proc/self/ns/net")
	if err != nil {
		v.Fatal(err)
	}
	if s := v.nsx("ls", "--each", "--all", "-o", "name", "--no-headers"); s.status != 0 || !strings.Contains(s.out, fmt.Sprintf("net:[%d]", own)) {
		v.Fatalf("nsx ls --all: %s\n%s", s, s.out)
	}
	v.Scans++
	if s := v.nsx("ps", "-o", "name", "--no-headers"); s.status != 0 || !strings.Contains("\n"+s.out, fmt.Sprintf("\n%d\n", os.Getpid())) {
		v.Fatalf("nsx ps: %s\n%s", s, s.out)
	}
}

// work is all that can be done with a process that is there: it succeeds.
func (v *visit) work(p *testkit.Proc) {
	v.scan()
	uts := p.NS("uts")
	if err := v.enter(p.PID, uts); err != nil {
		v.Fatalf("entering process %d: %v", p.PID, err)
	}
	if v.Rounds%4 == 0 {
		v.list()
		v.Entries++
		args := []string{"enter"}
		if v.own {
			args = append(args, "--own-cgroup", "--own-env")
		}
		if s := v.nsx(append(append(args, strconv.Itoa(p.PID), "--"), inside(uts)...)...); s.status != 7 {
			v.Fatalf("nsx enter %d: %s", p.PID, s)
		}
		v.enterFirst()
	}
	v.groupWork()
}

// enterFirst enters process 1, which the kernel refuses an ordinary user.
func (v *visit) enterFirst() {
	if _, err := testkit.ReadNS("/proc/1/ns/uts"); !errors.Is(err, os.ErrPermission) {
		return
	}
	v.Entries++
	s := v.nsx("enter", "1", "--", "true")
	if s.status != exitOwn || !strings.Contains(s.err, "EACCES") && !strings.Contains(s.err, "EPERM") {
		v.Fatalf("nsx enter 1, which is another's: %s", s)
	}
	v.refused("another's process")
}

// errnoOf is the name of the errno of an error, which must be one of those.
func (v *visit) errnoOf(doing string, err error, allowed ...unix.Errno) string {
	for _, errno := range allowed {
		if errors.Is(err, errno) {
			return unix.ErrnoName(errno)
		}
	}
	if errors.Is(err, inspect.ErrGone) {
		return "not found"
	}
	v.Fatalf("%s: %v (%#v)", doing, err, err)
	return ""
}
