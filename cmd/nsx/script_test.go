package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/internal/inherited"
	"nsx/internal/testkit"
)

// TestMain makes the test binary four programs: the tests, nsx itself for the
// scripts, what uses things up there, and the fixtures.
func TestMain(m *testing.M) {
	testkit.Hook()
	if os.Getenv(injectEnv) != "" {
		injectMain()
		return
	}
	testscript.Main(leakChecked{m}, map[string]func(){"nsx": main, "nsx-test-typed": typedMain, "nsx-test-caller": callerMain, "workload": workload})
}

type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int { return testkit.Main(m.M) }

// TestScripts runs testdata/script/*.txtar. Besides testscript's commands, they
// have those of scriptCommands, and the conditions of condition.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Setup:         setUp,
		Cmds:          scriptCommands,
		Condition:     condition,
		UpdateScripts: os.Getenv("UPDATE") != "",
	})
}

// tbKey is where a script's commands find its *testing.T, which the gates want.
type tbKey struct{}

func setUp(e *testscript.Env) error {
	e.Values[tbKey{}] = e.T().(testing.TB)
	e.Setenv("TERM", "xterm")
	return nil
}

// condition knows [root], [user], [readable:LINK], [linux:VERSION] for a kernel at
// least as new, [slow], and [v1:CONTROLLER] and [v2:CONTROLLER] for where that is.
func condition(word string) (bool, error) {
	name, arg, _ := strings.Cut(word, ":")
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "user":
		return os.Geteuid() != 0, nil
	case "readable":
		_, err := os.Readlink(arg)
		return err == nil, nil
	case "linux":
		return testkit.KernelIs(arg)
	case "slow":
		return os.Getenv(testkit.SlowEnv) != "", nil
	case "v1", "v2":
		return versionHas(name[1:], arg)
	}
	return false, fmt.Errorf("unknown condition %q", word)
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"copynsx": copyNSX,
	"fixture": startFixture,
	"group":   nameGroup,
	"json":    checkJSON,
	"keys":    checkKeys,
	"require": require,
	"status":  checkStatus,
}

// require skips the script through a gate of testkit:
//
//	require root|user
//	require ns TYPES…
//	require program NAME
//	require controller NAME
//	require cgroup1 CONTROLLER
//	require cgroup2 [alone]
//	require disk NAME
//	require binfmt
//	require static
func require(ts *testscript.TestScript, neg bool, args []string) {
	tb := ts.Value(tbKey{}).(testing.TB)
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: require root|user|ns TYPES…|program NAME|controller NAME|cgroup1 CONTROLLER|cgroup2 [alone]|disk NAME|binfmt|static")
	case args[0] == "root":
		testkit.RequireRoot(tb)
	case args[0] == "user":
		testkit.RequireUser(tb)
	case args[0] == "ns":
		testkit.RequireNS(tb, args[1:]...)
	case args[0] == "cgroup1" && len(args) == 2:
		testkit.RequireCgroup1(tb, args[1])
	case args[0] == "cgroup2" && len(args) == 2 && args[1] == "alone":
		testkit.RequireOnlyCgroup2(tb)
	case args[0] == "cgroup2" && len(args) == 1:
		testkit.RequireCgroup2(tb)
	case args[0] == "controller" && len(args) == 2:
		fs, err := cgroupfs.Open(cgroupfs.Options{})
		ts.Check(err)
		_, err = fs.Controller(args[1])
		testkit.Require(tb, err == nil, "needs a controller: %v", err)
	case args[0] == "disk" && len(args) == 2:
		testkit.Require(tb, exists("/sys/class/block/"+args[1]), "needs a disk named %s", args[1])
	case args[0] == "binfmt":
		testkit.Require(tb, exists("/proc/sys/fs/binfmt_misc"), "needs binfmt_misc in the kernel")
	case args[0] == "static":
		_, known := inherited.Known()
		testkit.Require(tb, known, "needs a build without cgo: CGO_ENABLED=0")
	case args[0] == "program" && len(args) == 2:
		testkit.RequireProgram(tb, args[1])
	default:
		ts.Fatalf("require: unknown %q", args)
	}
}

// startFixture starts a process of testkit's and names what there is to know
// of it in variables:
//
//	fixture web new=user,net mode=fd-holder apart=net uid=1000 depth=2 comm=a\x1b arg=…
//
// makes $web_pid, $web_netns and so on for each type that can be read,
// $web_outer (the outermost level), $web_tid, $web_child, $web_held_net,
// $web_fd_net, $web_path_net, and $web_pidfd, the inode number of its pidfd.
func startFixture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: fixture NAME KEY=VALUE…")
	}
	c := fixtureConfig(ts, args[1:])
	if len(c.New) > 0 {
		testkit.RequireNS(ts.Value(tbKey{}).(testing.TB), c.New...)
	}
	p, err := testkit.TryStart(c)
	ts.Check(err)
	ts.Defer(p.Kill)
	set := func(name string, value any) { ts.Setenv(args[0]+"_"+name, fmt.Sprint(value)) }
	set("pid", p.PID)
	set("outer", p.Levels[0])
	if pidfd, err := unix.PidfdOpen(p.Levels[0], 0); err == nil {
		var st unix.Stat_t
		ts.Check(unix.Fstat(pidfd, &st))
		unix.Close(pidfd)
		set("pidfd", st.Ino)
	}
	set("tid", p.Thread)
	set("child", p.Child)
	for _, name := range testkit.AllNS {
		if inode, err := testkit.ReadNS(p.Path("ns", name)); err == nil {
			set(name+"ns", inode)
		}
	}
	for name, inode := range p.Held {
		set("held_"+name, inode)
	}
	for name, fd := range p.HeldFD {
		set("fd_"+name, fd)
	}
	for name, path := range p.HeldPath {
		set("path_"+name, path)
	}
}

func fixtureConfig(ts *testscript.TestScript, args []string) testkit.Config {
	c := testkit.Config{Dir: ts.MkAbs(".")}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		var err error
		switch key {
		case "new":
			c.New = strings.Split(value, ",")
		case "apart":
			c.Apart = strings.Split(value, ",")
		case "mode":
			c.Mode = testkit.Mode(value)
		case "dir":
			c.Dir = ts.MkAbs(value)
		case "uid":
			c.UID, err = strconv.Atoi(value)
		case "depth":
			c.Depth, err = strconv.Atoi(value)
		case "comm": // with Go's escapes
			c.Comm, err = strconv.Unquote(`"` + value + `"`)
		case "arg":
			value, err = strconv.Unquote(`"` + value + `"`)
			c.Args = append(c.Args, value)
		default:
			err = fmt.Errorf("fixture: unknown %q", arg)
		}
		ts.Check(err)
	}
	return c
}

// checkStatus runs a command that must end with exactly that status:
//
//	status 2 nsx ls -t nix
func checkStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("status %d, want %s", got, args[0])
	}
}
