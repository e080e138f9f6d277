package attacks

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// playNagger is root of a container, which goes for every process there that has
// another root directory than itself, as the host's tools do. It prints what it got
// at, and ends with its input.
func playNagger([]string) int {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var b [1]byte
		_, _ = os.Stdin.Read(b[:])
	}()
	fmt.Println("ready")
	found := map[string]bool{}
	for {
		select {
		case <-ended:
			for what := range found {
				fmt.Println(what)
			}
			return 0
		default:
		}
		for pid := range 400 {
			dir := "/proc/" + strconv.Itoa(pid)
			comm, err := os.ReadFile(dir + "/comm")
			if err != nil || pid == os.Getpid() {
				continue
			}
			if status, _ := os.ReadFile(dir + "/status"); field(string(status), "Tgid") == strconv.Itoa(os.Getpid()) {
				continue
			}
			if strings.TrimSpace(string(comm)) != "sleep" {
				continue
			}
			if _, err := os.Stat(dir + "/root" + os.Args[1]); err == nil {
				found["reached the host's files by its root directory"] = true
			}
			if text, err := os.ReadFile(dir + "/environ"); err == nil && strings.Contains(string(text), secretText) {
				found["read its environment"] = true
			}
			if unix.PtraceSeize(pid) == nil {
				found["traced it"] = true
				if unix.PtraceInterrupt(pid) == nil {
					_, _ = unix.Wait4(pid, nil, unix.WALL, nil)
				}
				_ = unix.PtraceDetach(pid)
			}
		}
	}
}

// The host's tools in a container have the host's files for a root directory: no
// code of the container may get at them.
func TestHostTools(t *testing.T) {
	requireTargets(t)
	root := boxRoot(t)
	nagger, err := os.ReadFile(program("nagger"))
	if err == nil {
		err = os.WriteFile(root+"/nagger", nagger, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	inRoot := func(p place) place {
		// chroot, then the new /proc in it, then fewer rights.
		for i, word := range p.words {
			if word == "proc" {
				p.words = append(append(append([]string{}, p.words[:i]...), "root="+root), p.words[i+1:]...)
				break
			}
		}
		return p
	}
	for _, p := range []place{rootful(dockerCaps), rootful(dockerCaps | ptraceCap), mapped(dockerCaps), mapped(0x1ffffffffff)} {
		p = inRoot(p)
		t.Run(p.name+" "+p.words[len(p.words)-2], func(t *testing.T) {
			cmd := p.command("/nagger", workDir)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			cmd.Stdin = r
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			launch(t, cmd)
			r.Close()
			says := bufio.NewScanner(out)
			if !says.Scan() || says.Text() != "ready" {
				t.Fatalf("the nagger says %q", says.Text())
			}
			pid := cmd.Process.Pid
			for _, words := range [][]string{{"--tools=host"}, {"--tools=host", "--own-env"}, {"--tools=host", "--user", strconv.Itoa(pid)}} {
				argv := append(append([]string{nsxBinary, "enter"}, words...), strconv.Itoa(pid), "--", "sleep", "0.5")
				o := run(t, nil, argv, nil)
				t.Logf("%q: %v", words, o)
				if o.hung {
					t.Error(o)
				}
			}
			w.Close()
			for says.Scan() {
				t.Errorf("the attack succeeded: code of the container %s", says.Text())
			}
		})
	}
}

// nsx that is traced cannot watch what it starts, and says so.
func TestTracedNSX(t *testing.T) {
	requireTargets(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: ", err)
	}
	for _, p := range []place{ordinary(), rootful(dockerCaps)} {
		pid := p.filtered(t, filter{Calls: []uint32{unix.SYS_SYNC}, Answer: unix.SECCOMP_RET_ERRNO})
		argv := append([]string{strace, "-f", "-o", "/dev/null"}, nsx.argv(pid, nil, program("who"), secretUser)...)
		o := run(t, nil, argv, nil)
		if o.status != 125 || !strings.Contains(o.stderr, "trace") {
			t.Errorf("%s: %v", p.name, o)
		}
	}
}
