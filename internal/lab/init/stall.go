package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long a test binary may write nothing. The slowest test takes half
// of that.
const silence = 3 * time.Minute

// watchForStall tells what the machine does when the test binary writes nothing
// more, and ends it with a signal for which Go shows its goroutines. It returns
// when the binary is gone.
func watchForStall(pid int, out io.Writer) {
	last, since := written(pid), time.Now()
	for range time.Tick(5 * time.Second) {
		now := written(pid)
		switch {
		case now == "":
			return
		case now != last:
			last, since = now, time.Now()
		case time.Since(since) > silence:
			tellStall(out)
			_ = unix.Kill(pid, unix.SIGQUIT)
			return
		}
	}
}

// written is how much a process has written, or "" of one that is gone (wchar in
// proc_pid_io(5)).
func written(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			return value
		}
	}
	return ""
}

// task is a thread, with the clock ticks that it ran (proc_pid_stat(5)).
type task struct {
	dir   string
	name  string
	state string
	ticks int
}

// tellStall shows all threads but those of the kernel that sleep, the busiest first.
func tellStall(out io.Writer) {
	before := map[string]int{}
	for _, t := range tasks() {
		before[t.dir] = t.ticks
	}
	time.Sleep(3 * time.Second)
	after := tasks()
	for i := range after {
		after[i].ticks -= before[after[i].dir]
	}
	slices.SortStableFunc(after, func(a, b task) int { return cmp.Compare(b.ticks, a.ticks) })
	fmt.Fprintf(out, "\n=== STALL nothing written for %v; threads, with the ticks of 10 ms that they ran in 3 s\n", silence)
	for _, t := range after {
		cmdline, _ := os.ReadFile(t.dir + "/cmdline")
		if len(cmdline) == 0 && t.ticks == 0 {
			continue
		}
		wchan, _ := os.ReadFile(t.dir + "/wchan")
		fmt.Fprintf(out, "STALL %4d %s %-15s %-24s %s %.120q\n", t.ticks, t.state, t.name, wchan, strings.TrimPrefix(t.dir, "/proc/"), cmdline)
		if t.ticks > 0 || t.state == "D" {
			stack, _ := os.ReadFile(t.dir + "/stack")
			syscall, _ := os.ReadFile(t.dir + "/syscall")
			fmt.Fprintf(out, "%s%s", syscall, stack)
		}
	}
	interrupts, _ := os.ReadFile("/proc/interrupts")
	fmt.Fprintf(out, "%s", interrupts)
}

func tasks() (all []task) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, dir := range dirs {
		data, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // gone
		}
		_, rest, _ := strings.Cut(string(data), "(")
		end := strings.LastIndexByte(rest, ')')
		if end < 0 {
			continue
		}
		f := strings.Fields(rest[end+1:])
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		all = append(all, task{dir, rest[:end], f[0], user + system})
	}
	return all
}
