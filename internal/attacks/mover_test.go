package attacks

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// playMover starts one errand after the other: a line "KIND FLAGS DELAY" starts one
// in the place of the last and is answered with its PID, "go" lets it go, and
// "wait" is answered when its unshare(2) is done.
func playMover([]string) int {
	lines := bufio.NewScanner(os.Stdin)
	var pid int
	var told, done *os.File
	end := func() {
		if pid != 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil)
			told.Close()
			done.Close()
		}
	}
	path, _ := unix.BytePtrFromString(program("idle"))
	if len(os.Args) > 1 {
		path, _ = unix.BytePtrFromString(os.Args[1])
	}
	for lines.Scan() {
		var answer [1]byte
		switch lines.Text() {
		case "go":
			_, _ = told.Write(answer[:])
			continue
		case "wait":
			_, _ = done.Read(answer[:])
			fmt.Println(answer[0])
			continue
		}
		end()
		var kind, flags uintptr
		var delay int64
		if _, err := fmt.Sscan(lines.Text(), &kind, &flags, &delay); err != nil {
			fmt.Fprintln(os.Stderr, lines.Text(), err)
			return 1
		}
		toldR, toldW, err := os.Pipe()
		if err != nil {
			return 1
		}
		doneR, doneW, err := os.Pipe()
		if err != nil {
			return 1
		}
		e := &errand{
			kind: kind, flags: flags, delay: unix.NsecToTimespec(delay), path: path, argv: [2]*byte{path},
			told: toldR.Fd(), done: doneW.Fd(),
		}
		var errno syscall.Errno
		if pid, errno = startErrand(e); errno != 0 {
			fmt.Fprintln(os.Stderr, errno)
			return 1
		}
		toldR.Close()
		doneW.Close()
		told, done = toldW, doneR
		fmt.Println(pid)
	}
	end()
	return 0
}

// mover is such a process, which is not in a PID namespace of its own.
type mover struct {
	t      testing.TB
	orders io.Writer
	says   *bufio.Scanner
}

// startMover starts it with the given words before it, in new namespaces.
func startMover(t testing.TB, flags uintptr, words ...string) *mover {
	t.Helper()
	cmd := started(flags, append(words, program("mover"), program("idle"))...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	return &mover{t, in, bufio.NewScanner(out)}
}

// tell gives an order and reads the number that answers it, if one does.
func (m *mover) tell(order string, answered bool) (n int) {
	m.t.Helper()
	if _, err := fmt.Fprintln(m.orders, order); err != nil {
		m.t.Fatal(err)
	}
	if !answered {
		return 0
	}
	if !m.says.Scan() {
		m.t.Fatalf("the mover said nothing to %q", order)
	}
	if _, err := fmt.Sscan(m.says.Text(), &n); err != nil {
		m.t.Fatal(err)
	}
	return n
}

// letGo lets the target go, from any thread.
func (m *mover) letGo() { _, _ = fmt.Fprintln(m.orders, "go") }

// target starts a target that waits to be let go.
func (m *mover) target(kind, flags uintptr, delay time.Duration) (pid int) {
	m.t.Helper()
	return m.tell(fmt.Sprintf("%d %d %d", kind, flags, delay.Nanoseconds()), true)
}
