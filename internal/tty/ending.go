package tty

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// EndedError says that the command was killed, because we were to end.
type EndedError struct {
	// By is the signal that asked for it; 0: ^] three times.
	By syscall.Signal
	// Left is the command's PID if it has not ended even so, as one that waits
	// for a dead file server; 0 if it has.
	Left int
}

func (e *EndedError) Error() string {
	by := "^] three times"
	if e.By != 0 {
		by = unix.SignalName(e.By)
	}
	if e.Left != 0 {
		return fmt.Sprintf("ended by %s, and the command, process %d, was killed but the kernel keeps it: it goes when what it waits for answers", by, e.Left)
	}
	return "ended by " + by + ", and the command was killed"
}

// ending ends a command for good.
type ending struct {
	command *os.Process
	pid     int

	mu     sync.Mutex
	by     *EndedError // nil: nobody has killed it
	timers []*time.Timer
	gaveUp chan struct{}
}

// dying is for how long we wait for what was killed.
const dying = time.Second

func newEnding(command *os.Process) *ending {
	return &ending{command: command, pid: command.Pid, gaveUp: make(chan struct{})}
}

// kill kills the command.
func (e *ending) kill(by syscall.Signal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by != nil {
		return
	}
	e.by = &EndedError{By: by}
	_ = e.command.Kill() // it may have ended by now
	e.timers = append(e.timers, time.AfterFunc(dying, func() { close(e.gaveUp) }))
}

// killAfter kills the command if it has not ended until then.
func (e *ending) killAfter(d time.Duration, by syscall.Signal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timers = append(e.timers, time.AfterFunc(d, func() { e.kill(by) }))
}

// wait follows the command until it ends. An *EndedError comes with its state,
// unless it has not ended although it was killed.
func (e *ending) wait(suspend func()) (state *os.ProcessState, err error) {
	type end struct {
		state *os.ProcessState
		err   error
	}
	ended := make(chan end, 1)
	go func() {
		state, err := follow(e.command, suspend)
		ended <- end{state, err}
	}()
	left := 0
	select {
	case end := <-ended:
		state, err = end.state, end.err
	case <-e.gaveUp:
		left = e.pid
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.timers {
		t.Stop()
	}
	switch {
	case left != 0:
		e.by.Left = left
		return nil, e.by
	case err == nil && e.by != nil:
		return state, e.by
	}
	return state, err
}

// deafness is why a signal does nothing to a process.
type deafness int

const (
	hears   deafness = iota
	ignores          // it has chosen to ignore it
	isInit           // it is the init of a PID namespace and does not catch it
)

// hearing says whether a signal does anything to a process: sig_task_ignored in
// kernel/signal.c.
func hearing(pid int, sig syscall.Signal) deafness {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return hears
	}
	has := func(set string) bool {
		word, _ := proc.StatusField(string(text), set)
		signals, _ := strconv.ParseUint(word, 16, 64)
		return signals>>(sig-1)&1 == 1
	}
	pids, _ := proc.StatusField(string(text), "NSpid")
	init := pids == "1" || strings.HasSuffix(pids, "\t1") // in its own PID namespace
	switch {
	case has("SigIgn"):
		return ignores
	case init && !has("SigCgt"):
		return isInit
	}
	return hears
}
