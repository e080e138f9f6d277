package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// section is a part of the report, which can be measured anew by itself.
type section struct{ title, text string }

// preface is what a report begins with.
const preface = "# nsx benchmarks\n\nWritten by `make bench`; `go run ./internal/bench -only enter -o docs/bench.md` measures\none section anew (scan, enter, proof, foreach).\n"

const heading = "\n## "

// merge puts sections in the place of those of an older report that have their
// titles, and the others behind it.
func merge(older string, sections []section) string {
	parts := strings.Split(older, heading)
	var all []section
	for _, part := range parts[1:] {
		title, text, _ := strings.Cut(part, "\n")
		all = append(all, section{title, text})
	}
	for _, s := range sections {
		i := slices.IndexFunc(all, func(a section) bool { return a.title == s.title })
		if i < 0 {
			all = append(all, s)
			continue
		}
		all[i] = s
	}
	var b strings.Builder
	b.WriteString(preface)
	for _, s := range all {
		b.WriteString(heading + s.title + "\n\n" + strings.Trim(s.text, "\n") + "\n")
	}
	return b.String()
}

// origin says where and when a section was measured, so that they can be compared.
func origin(w io.Writer, o options) {
	as := ""
	if os.Geteuid() != 0 {
		as = fmt.Sprintf(", as uid %d", os.Geteuid())
	}
	// On a machine with something else to do, chrt(1) has the bench come first.
	if attr, err := unix.SchedGetAttr(0, 0); err == nil && attr.Policy == unix.SCHED_FIFO {
		as += ", before all else (SCHED_FIFO)"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	now, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(w, "%s: Linux %s, %s, %d cores, load %s; %s; %s%s.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		kernel(), runtime.GOARCH, runtime.NumCPU(), now, firstLine(o.nsx, "version"), firstLine(o.peer, "--version"), as)
}

func kernel() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// firstLine is what a program says of its version.
func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
