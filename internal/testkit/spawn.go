package testkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lifetime is the longest that any fixture lives, whatever happens to its test.
const Lifetime = 10 * time.Minute

// readyTimeout bounds the start of a single fixture; a crowd has its own.
const readyTimeout = 30 * time.Second

// Descriptors of a re-executed helper.
const (
	controlFD = 3 // its orders, then silence; end of file means: go away
	statusFD  = 4 // its one answer
	sleeperFD = 4 // what a crowd's process closes when it sleeps
	extraFD   = 5 // what a role may need besides
)

// spawner runs functions on one operating system thread that never ends and
// never leaves its namespaces. PR_SET_PDEATHSIG goes by the thread that
// started a process, and a Go thread may end with a locked goroutine.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go spawnerLoop(work)
	return work
})

func spawnerLoop(work <-chan func()) {
	runtime.LockOSThread()
	for f := range work {
		f()
	}
}

// isFixture is set in a fixture: it starts its own children on its first
// thread, whose namespaces for children are the ones that matter.
var isFixture bool

// onSpawner runs f on the spawner's thread and waits for it.
func onSpawner(f func()) {
	if isFixture {
		f()
		return
	}
	done := make(chan struct{})
	spawner() <- func() { defer close(done); f() }
	<-done
}

// helper is a re-executed copy of this program.
type helper struct {
	cmd     *exec.Cmd
	control *os.File      // our end of controlFD
	status  *os.File      // our end of statusFD
	stderr  *os.File      // a memfd: what it said when it broke
	leave   bool          // nobody reaps it before kill
	dead    chan struct{} // closed when it was reaped
}

// launch describes a helper to start.
type launch struct {
	role  string
	args  []string // argv, nil for a plain name
	attr  syscall.SysProcAttr
	extra []*os.File // from extraFD on
	spec  any        // sent as JSON
	leave bool       // do not reap it, so that it becomes a zombie
}

// start runs the helper and sends its orders.
func (l launch) start() (_ *helper, err error) {
	// Plain pipes, not os.Pipe: the helper's ends must block, or its waiting
	// would need Go's poller and one thread more.
	controlR, controlW, err := pipe()
	if err != nil {
		return nil, err
	}
	defer controlR.Close()
	statusR, statusW, err := statusPipe()
	if err != nil {
		controlW.Close()
		return nil, err
	}
	defer statusW.Close()
	stderr, err := memfd("testkit-stderr")
	if err != nil {
		controlW.Close()
		statusR.Close()
		return nil, err
	}
	h := &helper{control: controlW, status: statusR, stderr: stderr, dead: make(chan struct{})}
	h.cmd = &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        l.args,
		Env:         []string{roleEnv + "=" + l.role, "GOGC=off", "GOMAXPROCS=2", "GOTRACEBACK=single"},
		Stderr:      stderr,
		ExtraFiles:  append([]*os.File{controlR, statusW}, l.extra...),
		SysProcAttr: &l.attr,
	}
	if len(h.cmd.Args) == 0 {
		h.cmd.Args = []string{"testkit-" + l.role}
	}
	h.cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	onSpawner(func() { err = h.cmd.Start() })
	if err != nil {
		h.closeFiles()
		return nil, fmt.Errorf("start %s: %w", l.role, err)
	}
	if !l.leave {
		go h.reap()
	}
	h.leave = l.leave
	if err := json.NewEncoder(controlW).Encode(l.spec); err != nil {
		err = h.explain(err)
		h.kill(0)
		return nil, err
	}
	return h, nil
}

// answer reads the helper's JSON answer into v.
func (h *helper) answer(v any, timeout time.Duration) error {
	if err := h.status.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	err := json.NewDecoder(h.status).Decode(v)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return h.explain(errors.New("it ended without an answer"))
	}
	if err != nil {
		return h.explain(fmt.Errorf("no answer: %w", err))
	}
	return nil
}

// explain adds how the helper ended and what it printed to err.
func (h *helper) explain(err error) error {
	select {
	case <-h.dead:
		err = fmt.Errorf("%w (%v)", err, h.cmd.ProcessState)
	case <-time.After(100 * time.Millisecond): // still alive
	}
	said := make([]byte, 4096)
	n, _ := h.stderr.ReadAt(said, 0)
	if text := strings.TrimSpace(string(said[:n])); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// kill ends the helper and reaps it. With a grace it is first asked to go,
// so that it can reap its own children: orphans would stay zombies until
// process 1 gets round to them.
func (h *helper) kill(grace time.Duration) {
	h.control.Close()
	if h.leave {
		h.leave = false
		go h.reap()
	}
	if grace > 0 {
		select {
		case <-h.dead:
		case <-time.After(grace):
		}
	}
	_ = h.cmd.Process.Kill() // through the pidfd that os.Process holds
	<-h.dead
	h.closeFiles()
}

func (h *helper) reap() {
	_ = h.cmd.Wait()
	close(h.dead)
}

func (h *helper) closeFiles() {
	h.control.Close()
	h.status.Close()
	h.stderr.Close()
}

// pipe is pipe(2) with both ends blocking.
func pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// statusPipe is a pipe whose read end obeys deadlines.
func statusPipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	// os.NewFile hands only non-blocking descriptors to Go's poller.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

func memfd(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
