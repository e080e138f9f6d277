package launcher

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// status runs the program, which the function has begun, and gives the lines of
// its /proc/self/status.
func status(t *testing.T, way Way, begin func(p *Program)) map[string]string {
	t.Helper()
	var p Program
	begin(&p)
	p.Exec("/bin/cat", "")
	text, _ := output(t, &p, Attr{Argv: []string{"cat", "/proc/self/status"}, Way: way})
	fields := map[string]string{}
	for _, line := range lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %q, want %q", name, got[name], value)
		}
	}
}

func set(caps ...int) (set uint64) {
	for _, n := range caps {
		set |= 1 << n
	}
	return set
}

func hex(set uint64) string { return fmt.Sprintf("%016x", set) }

func TestCredentials(t *testing.T) {
	testkit.RequireRoot(t)
	bothWays(t, func(t *testing.T, way Way) {
		got := status(t, way, func(p *Program) {
			p.Setgroups([]uint32{1234, 5678})
			p.Setgid(4000000000)
			p.Setuid(65534)
			p.NoNewPrivileges()
			p.DieWithParent(unix.SIGKILL)
		})
		expect(t, got, map[string]string{
			"Uid": "65534 65534 65534 65534", "Gid": "4000000000 4000000000 4000000000 4000000000",
			"Groups": "1234 5678", "NoNewPrivs": "1", "CapEff": hex(0), "CapPrm": hex(0),
		})
		got = status(t, way, func(p *Program) { p.Setgroups(nil) })
		expect(t, got, map[string]string{"Groups": ""})
	})
}

func TestCapabilities(t *testing.T) {
	testkit.RequireRoot(t)
	some := set(unix.CAP_CHOWN, unix.CAP_NET_RAW, unix.CAP_SYSLOG)
	bothWays(t, func(t *testing.T, way Way) {
		got := status(t, way, func(p *Program) { p.BoundingSet(some) })
		expect(t, got, map[string]string{"CapBnd": hex(some), "CapEff": hex(some), "CapPrm": hex(some), "CapInh": hex(0)})

		got = status(t, way, func(p *Program) {
			p.KeepCapabilities()
			p.Setuid(65534)
			p.Capabilities(some, some, some)
			p.AmbientSet(set(unix.CAP_NET_RAW, unix.CAP_SYSLOG))
		})
		ambient := hex(set(unix.CAP_NET_RAW, unix.CAP_SYSLOG))
		expect(t, got, map[string]string{"CapAmb": ambient, "CapEff": ambient, "CapPrm": ambient, "CapInh": hex(some)})

		var p Program
		p.Capabilities(0, 0, 0)
		p.BoundingSet(some)
		failsAt(t, &p, Attr{Way: way}, "prctl(PR_CAPBSET_DROP, 1)", unix.EPERM)
		p = Program{}
		p.AmbientSet(some) // not inheritable
		failsAt(t, &p, Attr{Way: way}, "prctl(PR_CAP_AMBIENT_RAISE, 0)", unix.EPERM)
	})
}

func TestRefusedCredentials(t *testing.T) {
	testkit.RequireUser(t)
	bothWays(t, func(t *testing.T, way Way) {
		for step, begin := range map[string]func(p *Program){
			"setgroups":   func(p *Program) { p.Setgroups(nil) },
			"setresgid 0": func(p *Program) { p.Setgid(0) },
			"setresuid 0": func(p *Program) { p.Setuid(0) },
			"capset":      func(p *Program) { p.Capabilities(1, 1, 1) },
			"mount":       func(p *Program) { p.Mount("mount", "none", "/", "tmpfs", 0, "") },
		} {
			var p Program
			begin(&p)
			failsAt(t, &p, Attr{Way: way}, step, unix.EPERM)
		}
	})
}

func TestNotDumpable(t *testing.T) {
	// A fixture that runs as another user has cleared it: until its execve Go's
	// child shares our memory, which is what the flag belongs to.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		before, after := p.Slot(9), p.Slot(9)
		p.Prctl("get", unix.PR_GET_DUMPABLE).Into(before)
		p.NotDumpable()
		p.Prctl("get", unix.PR_GET_DUMPABLE).Into(after)
		p.Parent("look", func(pid int) error {
			_, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if os.Geteuid() != 0 && err == nil {
				t.Error("environ can be read")
			}
			return nil
		})
		show(&p, before, after)
		if got := values(t, &p, way); fmt.Sprint(got) != "[1 0]" {
			t.Error(got)
		}
	})
}

// openTerminal makes a pseudoterminal: pty(7).
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

func TestTerminal(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		master, terminal := openTerminal(t)
		var p Program
		p.Fork() // a group leader may not call setsid
		p.Setsid()
		p.SetTerminal(p.File(terminal))
		a := shell(&p, "echo hello > /dev/tty; ps -o sid= -p $$ 2>/dev/null || cut -d' ' -f6 /proc/$$/stat")
		a.Way = way
		text, state := output(t, &p, a)
		if strings.TrimSpace(text) != fmt.Sprint(state.Pid()) {
			t.Errorf("session %q, process %d", text, state.Pid())
		}
		buf := make([]byte, 100)
		if n, err := master.Read(buf); string(buf[:n]) != "hello\r\n" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		p = Program{}
		p.SetTerminal(p.File(os.Stdin))
		if err := refused(t, &p, Attr{Way: way}); !strings.HasPrefix(err.Error(), "ioctl(TIOCSCTTY): ") {
			t.Error(err)
		}
	})
}

func TestELF(t *testing.T) {
	file := elfFile([]byte("code"), []byte("data"))
	if len(file) != dataOff+4 || string(file[codeOff:codeOff+4]) != "code" || string(file[dataOff:]) != "data" {
		t.Errorf("%d bytes", len(file))
	}
	if entry := binary.LittleEndian.Uint64(file[24:]); entry != textAddr+codeOff {
		t.Errorf("entry %#x", entry)
	}
}
