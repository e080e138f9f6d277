package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cell is one machine of the matrix.
type cell struct {
	kernel kernel
	layout string // v2, hybrid or v1
	image  string
}

// boot runs the cell's machine until it ends, and returns what its tests wrote.
// It is always emulated: an accelerator that only seems to work hangs.
func (c cell) boot(ctx context.Context, dir, initramfs, words string, shell bool) (log string, err error) {
	logFile := filepath.Join(dir, fmt.Sprintf("%s-%s.log", c.kernel.version, c.layout))
	command := "console=ttyS0 quiet loglevel=3 panic=-1 nsx.layout=" + c.layout + " " + words
	if c.layout == "v2" {
		command += " cgroup_no_v1=all"
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-serial", "file:"+logFile,
		"-kernel", c.image, "-initrd", initramfs, "-append", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if shell {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return "", cmd.Run()
	}
	console, err := cmd.CombinedOutput()
	if err == nil {
		err = ctx.Err()
	}
	err = errors.Join(err, os.WriteFile(strings.TrimSuffix(logFile, ".log")+".console", console, 0o644))
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

// run boots the cell, once more if it hung: about one emulated boot in 250 does.
func (c cell) run(dir, initramfs, words string, limit time.Duration) (log string, err error) {
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		log, err = c.boot(ctx, dir, initramfs, words, false)
		cancel()
		if err == nil || log != "" { // what has begun to talk did not hang at boot
			break
		}
	}
	return log, err
}
