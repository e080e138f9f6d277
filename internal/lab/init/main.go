// Init is PID 1 of the lab's virtual machines. It mounts what a system has,
// with cgroups as the kernel's command line asks (nsx.layout=v2|hybrid|v1),
// runs each test binary below /t as root, and switches the machine off. With
// nsx.systemd it leaves the machine to systemd, of which one unit is this program
// again.
//
// Tests write to a serial port of their own, nsx.log, apart from the kernel's
// messages. The
// last line there is "NSX-EXIT N" with the number of binaries that failed.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	os.Setenv("PATH", "/usr/bin:/usr/sbin")
	os.Setenv("HOME", "/root")
	os.Setenv("NSX_SLOW", "1")
	if os.Getpid() == 1 {
		setUp()
	}
	words := commandLine()
	out, err := os.OpenFile("/dev/"+words["nsx.log"], os.O_RDWR, 0)
	if err != nil {
		fmt.Println("init:", err)
		out = os.Stdout
	}
	raw(out)
	fmt.Fprintln(out, "=== BOOTED") // the lab knows now that this is no hang
	switch {
	case os.Getpid() == 1 && words["nsx.systemd"] != "":
		report(unix.Exec("/sbin/init", []string{"/sbin/init"}, []string{"HOME=/", "TERM=linux"}))
	case words["nsx.shell"] != "":
		run(exec.Command("/bin/setsid", "-c", "/bin/sh", "-l"), os.Stdout, false)
	default:
		fmt.Fprintf(out, "NSX-EXIT %d\n", runTests(words, out))
	}
	_ = unix.IoctlSetInt(int(out.Fd()), unix.TCSBRK, 1) // drain
	unix.Sync()
	fmt.Println("init:", unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART))
}

// setUp makes a system of a bare kernel, or leaves that to systemd. What fails is
// told, and the tests will find out.
func setUp() {
	enterRoot()
	mount("proc", "/proc", "proc", "")
	mount("devtmpfs", "/dev", "devtmpfs", "")
	loadModules()
	words := commandLine()
	if words["nsx.systemd"] != "" {
		return
	}
	mount("sysfs", "/sys", "sysfs", "")
	mount("securityfs", "/sys/kernel/security", "securityfs", "")
	if words["nsx.selinux"] != "" {
		loadPolicy()
	}
	mount("devpts", "/dev/pts", "devpts", "ptmxmode=0666")
	mount("tmpfs", "/dev/shm", "tmpfs", "mode=1777")
	mount("tmpfs", "/tmp", "tmpfs", "mode=1777")
	mount("tmpfs", "/run", "tmpfs", "")
	_ = os.Symlink("/proc/self/fd", "/dev/fd")
	run(exec.Command("/bin/ip", "link", "set", "lo", "up"), os.Stdout, false)
	_ = unix.Sethostname([]byte("nsx-lab"))
	mountCgroups(words["nsx.layout"])
}

// commandLine is the words of the kernel's.
func commandLine() map[string]string {
	words := map[string]string{}
	line, err := os.ReadFile("/proc/cmdline")
	report(err)
	for word := range strings.FieldsSeq(string(line)) {
		key, value, _ := strings.Cut(word, "=")
		words[key] = value
	}
	return words
}

// enterRoot puts a mount of the initial ramfs over it. There it is a root like
// any other: pivot_root(2) refuses the ramfs itself.
func enterRoot() {
	report(unix.Mount("/", "/root", "", unix.MS_BIND, ""))
	report(unix.Chdir("/root"))
	report(unix.Mount(".", "/", "", unix.MS_MOVE, ""))
	report(unix.Chroot("."))
	report(unix.Chdir("/"))
}

// loadModules loads what /modules has, in the order of its names.
func loadModules() {
	names, err := filepath.Glob("/modules/*.ko")
	report(err)
	for _, name := range names {
		f, err := os.Open(name)
		if err == nil {
			err = unix.FinitModule(int(f.Fd()), "", 0)
			f.Close()
		}
		if err != nil {
			fmt.Printf("init: module %s: %v\n", name, err)
		}
	}
}

// loadPolicy gives SELinux its policy, as systemd and init(8) do. All that runs is
// kernel_t then, which may do everything.
func loadPolicy() {
	mount("selinuxfs", "/sys/fs/selinux", "selinuxfs", "")
	policy, err := os.ReadFile("/policy")
	report(err)
	report(os.WriteFile("/sys/fs/selinux/load", policy, 0)) // in one write(2)
}

func mountCgroups(layout string) {
	const top = "/sys/fs/cgroup"
	if layout == "v2" {
		mount("cgroup2", top, "cgroup2", "nsdelegate")
		data, err := os.ReadFile(top + "/cgroup.controllers")
		report(err)
		for controller := range strings.FieldsSeq(string(data)) {
			report(os.WriteFile(top+"/cgroup.subtree_control", []byte("+"+controller), 0))
		}
		return
	}
	mount("tmpfs", top, "tmpfs", "mode=755")
	for _, controller := range v1Controllers() {
		mount("cgroup", top+"/"+controller, "cgroup", controller)
	}
	mount("cgroup", top+"/systemd", "cgroup", "none,name=systemd")
	if layout == "hybrid" {
		mount("cgroup2", top+"/unified", "cgroup2", "nsdelegate")
	}
}

// v1Controllers are those that /proc/cgroups has enabled. Newer kernels list
// some that only v2 has; mounting those fails and is told.
func v1Controllers() (names []string) {
	data, err := os.ReadFile("/proc/cgroups")
	report(err)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 4 && f[3] == "1" {
			names = append(names, f[0])
		}
	}
	return names
}

func mount(what, where, fstype, options string) {
	report(os.MkdirAll(where, 0o755))
	if err := unix.Mount(what, where, fstype, 0, options); err != nil {
		fmt.Printf("init: mount %s at %s (%s): %v\n", fstype, where, options, err)
	}
}

func report(err error) {
	if err != nil {
		fmt.Println("init:", err)
	}
}

// raw keeps the terminal from adding carriage returns.
func raw(f *os.File) {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return
	}
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO
	_ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

func runTests(words map[string]string, out *os.File) (failed int) {
	binaries, err := filepath.Glob("/t/*/test")
	report(err)
	deeper, err := filepath.Glob("/t/*/*/test")
	report(err)
	all := slices.Sorted(slices.Values(append(binaries, deeper...)))
	if len(all) == 0 {
		fmt.Fprintln(out, "init: no test binary below /t")
		return 1
	}
	for _, binary := range all {
		dir := filepath.Dir(binary)
		args := []string{"-test.v", "-test.short", "-test.timeout=10m"}
		if pattern := words["nsx.run"]; pattern != "" {
			args = append(args, "-test.run="+pattern, "-test.timeout=0") // the machine has its own limit
		} else {
			for _, name := range []string{"run", "skip"} {
				pattern, err := os.ReadFile(dir + "/" + name)
				report(err)
				if len(pattern) > 0 {
					args = append(args, "-test."+name+"="+string(pattern))
				}
			}
		}
		fmt.Fprintf(out, "=== PACKAGE %s\n", strings.TrimPrefix(dir, "/t/"))
		start := time.Now()
		cmd := exec.Command(binary, args...)
		cmd.Dir = dir
		status := run(cmd, out, words["nsx.run"] == "") // one test may be silent for long
		fmt.Fprintf(out, "=== STATUS %d after %.1f s\n", status, time.Since(start).Seconds())
		if status != 0 {
			failed++
		}
	}
	return failed
}

// run waits for the command, and for every orphan that dies meanwhile, as
// PID 1 must. It may watch for a command that does nothing more.
func run(cmd *exec.Cmd, out *os.File, watch bool) (status int) {
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(out, "init:", err)
		return 127
	}
	if watch {
		go watchForStall(cmd.Process.Pid, out)
	}
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			fmt.Fprintln(out, "init: wait:", err)
			return 127
		case pid == cmd.Process.Pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case pid == cmd.Process.Pid:
			return ws.ExitStatus()
		}
	}
}
