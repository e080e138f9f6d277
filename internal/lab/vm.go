package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cell is one machine of the matrix.
type cell struct {
	kernel  kernel
	layout  string // v2, hybrid or v1
	systemd bool   // is process 1
	selinux bool   // enforces Debian's policy
	image   string // of the kernel
	root    string // the archive with the root file system, if that is apart
	tests   string // the archive with the tests, and what else comes on top
	memory  int    // in MiB
}

// foreign says that this machine's own programs do not run there.
func (c cell) foreign() bool { return c.kernel.arch() != "amd64" }

// emulator is a program of QEMU's, and a machine of its.
type emulator struct {
	program, debian string
	machine         []string
	console, log    string // serial ports: for the kernel, and for the tests
}

var emulators = map[string]emulator{
	"amd64": {
		"qemu-system-x86_64", "qemu-system-x86",
		[]string{"-cpu", "max"},
		"ttyS0", "ttyS1",
	},
	"arm64": {
		"qemu-system-aarch64", "qemu-system-arm",
		[]string{"-machine", "virt", "-cpu", "cortex-a72"}, // of "max" the pointer authentication takes its time
		"ttyAMA0", "ttyS0",
	},
}

// name is the layout, with who made it.
func (c cell) name() string {
	if c.systemd {
		return "systemd-" + c.layout
	}
	if c.selinux {
		return "selinux-" + c.layout
	}
	return c.layout
}

// boot runs the cell's machine until it ends, and returns what its tests wrote.
// It is always emulated: an accelerator that only seems to work hangs.
func (c cell) boot(ctx context.Context, dir, words string, shell bool) (log string, err error) {
	logFile := c.file(dir, "log")
	if err := os.WriteFile(logFile, nil, 0o644); err != nil { // none of an older run
		return "", err
	}
	qemu := emulators[c.kernel.arch()]
	command := fmt.Sprintf("console=%s quiet loglevel=3 panic=-1 nsx.layout=%s nsx.log=%s %s", qemu.console, c.layout, qemu.log, words)
	if c.layout == "v2" {
		command += " cgroup_no_v1=all"
	}
	if c.systemd {
		command += c.systemdWords()
	}
	if c.selinux {
		command += " security=selinux enforcing=1 nsx.selinux=1"
	}
	initramfs, err := c.withModules(dir)
	if err != nil {
		return "", err
	}
	defer os.Remove(initramfs)
	cmd := exec.CommandContext(ctx, qemu.program, append(qemu.machine, "-accel", "tcg,thread=multi", "-smp", "2", "-m", strconv.Itoa(c.memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "file,id=log,path="+logFile, "-serial", "stdio",
		"-blockdev", "driver=null-co,node-name=disk,size=67108864,read-zeroes=on", "-device", "virtio-blk-pci,drive=disk", // vda
		"-kernel", c.image, "-initrd", initramfs, "-append", command)...)
	if c.foreign() { // the machine has only one port of its own
		cmd.Args = append(cmd.Args, "-device", "pci-serial,chardev=log")
	} else {
		cmd.Args = append(cmd.Args, "-serial", "chardev:log")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if shell {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return "", cmd.Run()
	}
	console, err := cmd.CombinedOutput()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	err = errors.Join(err, os.WriteFile(c.file(dir, "console"), console, 0o644))
	data, readErr := os.ReadFile(logFile)
	return string(data), errors.Join(err, readErr, reachedEnd(data, console))
}

// reachedEnd asks for init's last line, which a kernel that panics never writes.
func reachedEnd(data, console []byte) error {
	if strings.Contains(string(data), "NSX-EXIT ") {
		return nil
	}
	tail := console[max(0, len(console)-300):]
	return fmt.Errorf("the machine did not come to its end; its console: %q", tail)
}

// bootTime is how long a machine may take until its init speaks; 5 seconds are
// usual. About one emulated boot in 250 hangs.
const bootTime = time.Minute

var errHang = fmt.Errorf("said nothing for %v", bootTime)

// run boots the cell, and again when that was the emulator's fault; restarts says
// each time why.
func (c cell) run(dir, words string, limit time.Duration) (log string, restarts []string, err error) {
	for {
		ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("took longer than %v", limit))
		ctx, hung := context.WithCancelCause(ctx)
		watch := time.AfterFunc(bootTime, func() {
			if data, err := os.ReadFile(c.file(dir, "log")); err != nil || len(data) == 0 {
				hung(errHang)
			}
		})
		log, err = c.boot(ctx, dir, words, false)
		watch.Stop()
		cancel()
		console, _ := os.ReadFile(c.file(dir, "console"))
		why := emulatorsFault(log, string(console), err, restarts)
		if why == "" {
			return log, restarts, err
		}
		restarts = append(restarts, why)
	}
}

// strayTrap is the first oops of a kernel that met an int3. The kernel writes one
// over code that it changes while it runs (smp_text_poke_batch_finish in
// arch/x86/kernel/alternative.c), and the emulator sometimes shows it to a
// processor when it is gone again. No test can cause that.
var strayTrap = regexp.MustCompile(`(?m)^.*\bint3: 0000 \[#1\].*$`)

// maxRestarts is for a machine that never comes to its end.
const maxRestarts = 3

// emulatorsFault names the fault of the emulator for which a boot that never finished
// should be repeated, or "": a stray trap at any time, or, once, anything else before
// the first test, such as a hang.
func emulatorsFault(log, console string, err error, restarts []string) string {
	if err == nil || strings.Contains(log, "NSX-EXIT ") || len(restarts) == maxRestarts {
		return ""
	}
	if trap := strayTrap.FindString(console); trap != "" {
		return fmt.Sprintf("after %d tests: %s", strings.Count(log, "\n--- PASS: "), strings.TrimSpace(trap))
	}
	const early = "before its first test: "
	if strings.Contains(log, "=== RUN") || slices.ContainsFunc(restarts, func(r string) bool { return strings.HasPrefix(r, early) }) {
		return ""
	}
	return early + err.Error()
}

// file is the path of the cell's own file of that kind.
func (c cell) file(dir, kind string) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%s.%s", c.kernel.version, c.name(), kind))
}

// withModules is the initramfs: one archive after the other, the last with the
// kernel's modules.
func (c cell) withModules(dir string) (string, error) {
	tree, err := os.MkdirTemp(dir, "modules")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	if err := os.CopyFS(filepath.Join(tree, "modules"), os.DirFS(filepath.Join(filepath.Dir(c.image), "modules"))); err != nil {
		return "", err
	}
	own := c.file(dir, "initramfs")
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		return "", err
	}
	for _, part := range []string{c.root, c.tests} {
		if part == "" {
			continue
		}
		if err := appendFile(own, part); err != nil {
			return "", err
		}
	}
	return own, appendCpio(own, tree)
}
