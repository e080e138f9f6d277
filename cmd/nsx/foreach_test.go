package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// However much a command prints, nsx does not grow with it.
func TestForeachIsBounded(t *testing.T) {
	const printed = 300 << 20
	long := fmt.Sprintf("head -c %d /dev/zero; echo >&2", printed)
	for name, args := range map[string][]string{
		"as it comes":  {"--prefix", "self"},
		"at the end":   {"-P", "2", "self", "self"},
		"JSON":         {"-o", "json", "self", "self"},
		"many a line":  {"-P", "2", "--prefix", "self"},
		"without ends": {"--prefix", "-P", "1", "self"},
	} {
		command := long
		if name == "many a line" {
			command = fmt.Sprintf("yes '' | head -c %d; echo >&2", printed)
		}
		cmd := as("nsx", append(append([]string{"foreach"}, args...), "--", "sh", "-c", command)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", name, err, &said)
		}
		if kib := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; kib > 200<<10 {
			t.Errorf("%s: %d MiB", name, kib>>10)
		}
		streams := name == "as it comes" || name == "without ends"
		if streams != (n >= printed) || !streams && n < keptOfStream {
			t.Errorf("%s: %d bytes came", name, n)
		}
		if cut := strings.Contains(said.String(), "standard output cut after 4194304 bytes"); cut != (!streams && name != "JSON") {
			t.Errorf("%s: it says %q", name, &said)
		}
	}
}

func TestForeachCutInJSON(t *testing.T) {
	said, err := as("nsx", "foreach", "-o", "json", "self", "--", "sh", "-c", "echo few; head -c 5000000 /dev/zero >&2").Output()
	if err != nil || !bytes.Contains(said, []byte(`"stderr_cut":true`)) || bytes.Contains(said, []byte("stdout_cut")) ||
		!bytes.Contains(said, []byte(`"stdout":"few\n"`)) {
		t.Errorf("%v; %d bytes, %.200s", err, len(said), said)
	}
}

// All that is kept together has a bound too.
func TestKeeper(t *testing.T) {
	var left atomic.Int64
	left.Store(10)
	one, two := &keeper{left: &left}, &keeper{left: &left}
	for _, k := range []*keeper{one, two} {
		if n, err := k.Write([]byte("123456")); n != 6 || err != nil {
			t.Error(n, err)
		}
	}
	if string(one.text) != "123456" || one.cut || len(two.text) != 0 || !two.cut {
		t.Errorf("%+v %+v", one, two)
	}
	one.release()
	if left.Load() != 10 {
		t.Error(left.Load())
	}
}

// A line comes when it is printed, and a signal ends all.
func TestForeachShowsLinesAsTheyCome(t *testing.T) {
	cmd := as("nsx", "foreach", "--prefix", "self", "self", "--", "sh", "-c", "echo first; exec sleep 60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "self: first\n" {
		t.Errorf("%q, %v", line, err)
	}
	_ = cmd.Process.Signal(unix.SIGTERM)
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGTERM {
		t.Error(cmd.ProcessState)
	}
}

// What a command leaves behind in the background keeps its output open, and is
// not waited for; but what it prints at once is there.
func TestForeachLeavesBehind(t *testing.T) {
	for _, args := range [][]string{{"--prefix"}, {"-P", "2", "--no-headers"}, {"-o", "json"}} {
		began := time.Now()
		cmd := as("nsx", append(append([]string{"foreach"}, args...), "self", "--",
			"sh", "-c", "echo one; (sleep 0.1; echo two; exec sleep 8) &")...)
		said, err := cmd.Output()
		if took := time.Since(began); err != nil || took > 6*time.Second {
			t.Errorf("%s: %v after %v", args, err, took)
		}
		if !bytes.Contains(said, []byte("one")) || !bytes.Contains(said, []byte("two")) {
			t.Errorf("%s: %q", args, said)
		}
	}
}

// A full disk ends what would be endless.
func TestForeachOnFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"--prefix"}, {}} {
		cmd := as("nsx", append(append([]string{"foreach"}, args...), "self", "--", "sh", "-c", "yes 2>/dev/null")...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &said
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != exitOwn || !strings.Contains(said.String(), "ENOSPC") {
			t.Errorf("%s: %v: %s", args, err, &said)
		}
	}
}
