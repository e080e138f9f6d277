package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// header says where and when, so that reports can be compared.
func header(w io.Writer, o options) {
	fmt.Fprintln(w, "# nsx benchmarks")
	fmt.Fprintln(w)
	fmt.Fprintf(w, "- date: %s\n", time.Now().UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "- kernel: %s, %s, %d cores\n", kernel(), runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintf(w, "- nsx: %s\n", firstLine(o.nsx, "version"))
	fmt.Fprintf(w, "- peer: %s\n", firstLine(o.peer, "--version"))
	if os.Geteuid() != 0 {
		fmt.Fprintf(w, "- as uid %d\n", os.Geteuid())
	}
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
