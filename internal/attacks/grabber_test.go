package attacks

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// playGrabber is a container's first process, which goes for every new one that is
// not yet the command (idle), until its input ends. It prints what it could do to
// those, each thing once.
func playGrabber([]string) int {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var b [1]byte
		_, _ = os.Stdin.Read(b[:])
	}()
	own, _ := os.ReadFile("/proc/self/status")
	g := grabber{bounding: hexField(string(own), "CapBnd"), filters: field(string(own), "Seccomp_filters"), found: map[string]bool{}}
	fmt.Println("ready")
	first := os.Getpid() + 1
	for {
		for pid := first; pid < first+40; pid++ {
			if g.grab(pid) {
				first = max(first, pid-3)
			}
		}
		if unix.Kill(-1, 0) != nil { // alone again: the next will be the next number
			if text, err := os.ReadFile("/proc/loadavg"); err == nil {
				fields := strings.Fields(string(text))
				last, _ := strconv.Atoi(fields[len(fields)-1])
				first = last + 1
			}
		}
		select {
		case <-ended:
			fmt.Printf("saw %d processes, %d of them seized\n", g.seen[1], g.seen[2])
			for _, what := range slices.Sorted(maps.Keys(g.found)) {
				fmt.Println(what)
			}
			return 0
		default:
		}
	}
}

func hexField(status, name string) uint64 {
	n, _ := strconv.ParseUint(field(status, name), 16, 64)
	return n
}

type grabber struct {
	bounding uint64
	filters  string
	found    map[string]bool
	seen     [3]int
	last     int
}

// grab tries all that one can do to a process. It says whether there is one.
func (g *grabber) grab(pid int) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	comm := func() string {
		text, _ := os.ReadFile(dir + "/comm")
		return strings.TrimSpace(string(text))
	}
	if unix.Kill(pid, 0) != nil {
		return false
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid)); err == nil {
		return false // a thread of our own
	}
	if pid != g.last {
		g.last = pid
		g.seen[1]++
	}
	if c := comm(); c == "" || c == "idle" {
		return true
	}
	var list []string
	seized := unix.PtraceSeize(pid) == nil
	if text, err := os.ReadFile(dir + "/status"); err == nil {
		status := string(text)
		if over := hexField(status, "CapPrm") &^ g.bounding; over != 0 {
			what := "saw a process with more capabilities"
			if seized {
				what = "seized a process with more capabilities"
			}
			list = append(list, fmt.Sprintf("%s: %x", what, over))
		}
		if n := field(status, "Seccomp_filters"); seized && n != g.filters {
			list = append(list, "seized a process with "+n+" filters, not "+g.filters)
		}
	}
	if environ, err := os.ReadFile(dir + "/environ"); err == nil && strings.Contains(string(environ), secretText) {
		list = append(list, "read the caller's environment")
	}
	links, _ := filepath.Glob(dir + "/fd/*")
	for _, link := range links {
		to, err := os.Readlink(link)
		n, _ := strconv.Atoi(filepath.Base(link))
		if err == nil && n > 2 && !strings.HasPrefix(to, "socket:") && !strings.HasPrefix(to, "/memfd:") && !strings.HasPrefix(to, "anon_inode:") {
			list = append(list, "saw descriptor of "+to)
		}
	}
	if fd, err := unix.Open(dir+"/mem", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(fd)
		if g.bounding>>unix.CAP_SYS_PTRACE&1 == 0 {
			list = append(list, "opened its memory")
		}
	}
	if exe, err := unix.Open(dir+"/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", exe))
		if !strings.HasPrefix(name, "/memfd:") && comm() != "idle" {
			list = append(list, "opened its program "+filepath.Base(name))
		}
		for range 200 { // CVE-2019-5736: until it is no longer executed
			fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", exe), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err == nil { // a sealed file opens, and cannot be written to
				if !strings.HasPrefix(name, "/memfd:") {
					list = append(list, "opened its program for writing: "+filepath.Base(name))
				} else if _, err := unix.Pwrite(fd, []byte{0x7f}, 0); err == nil {
					list = append(list, "wrote to its program")
				}
				unix.Close(fd)
				break
			}
			if !errors.Is(err, unix.ETXTBSY) {
				break
			}
		}
		unix.Close(exe)
	}
	if seized {
		g.seen[2]++
		// Only one that has stopped can be let go.
		if unix.PtraceInterrupt(pid) == nil {
			_, _ = unix.Wait4(pid, nil, unix.WALL, nil)
		}
		_ = unix.PtraceDetach(pid)
	}
	if c := comm(); c == "idle" || c == "" {
		return true // it may have become that in between
	}
	for _, what := range list {
		g.found[what] = true
	}
	return true
}

// running is a grabber.
type running struct {
	pid  int
	in   *os.File
	says *bufio.Scanner
}

func startGrabber(t *testing.T, p place) *running {
	t.Helper()
	cmd := p.command(program("grabber"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	r.Close()
	t.Cleanup(func() { w.Close() })
	g := &running{cmd.Process.Pid, w, bufio.NewScanner(out)}
	if !g.says.Scan() || g.says.Text() != "ready" {
		t.Fatalf("the grabber says %q", g.says.Text())
	}
	return g
}

// got ends the grabber, and is what it got.
func (g *running) got(t *testing.T) string {
	t.Helper()
	g.in.Close()
	var list []string
	for g.says.Scan() {
		list = append(list, g.says.Text())
	}
	if len(list) == 0 {
		t.Error("the grabber ended early")
		return ""
	}
	t.Log(list[0])
	if strings.HasPrefix(list[0], "saw 0 ") {
		t.Error("it saw nobody: the test proves nothing")
	}
	return strings.Join(list[1:], "; ")
}

// Root of a container goes for the process that enters, before that is the
// command: CVE-2016-9962 (its memory, environment and descriptors), CVE-2019-5736
// (its program), and tracing it while it has more rights than the container.
func TestGrabTheHelper(t *testing.T) {
	requireTargets(t)
	for _, p := range []place{rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(0x1ffffffffff)} {
		t.Run(p.name+" "+p.words[len(p.words)-2], func(t *testing.T) {
			resist(t, func(t *testing.T, e entrant) string {
				g := startGrabber(t, p)
				for range rounds(150, 10) {
					if o := e.look(t, g.pid); o.hung || o.inside == nil && o.status != 125 {
						t.Errorf("%v", o)
					}
				}
				return g.got(t)
			}, nsenter)
		})
	}
}

// A script whose interpreter is /proc/self/exe has the helper executed again, as the
// container's program.
func TestInterpreterIsTheHelper(t *testing.T) {
	requireTargets(t)
	script := filepath.Join(workDir, "bin/again")
	if err := os.WriteFile(script, []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(script)
	inAll(t, func(t *testing.T, _ place, pid int, e entrant) string {
		before := need(t, os.Getpid())
		o := e.enter(t, pid, nil, script)
		if o.hung || o.status == 0 {
			return o.String()
		}
		if after := need(t, os.Getpid()); after.ns["mnt"] != before.ns["mnt"] {
			return "we moved"
		}
		return ""
	})
}
