// Package tty lets this program stand in for a command that it has started, as
// if the command had been started in its place: signals, the stops and
// continuations of job control, and the terminal.
//
//	signals := tty.Catch()
//	defer signals.Stop()
//	… start the command …
//	state, err := signals.Accompany(process)
//
// The start itself may take for ever, as where a file server does not answer:
// [Signals.Until] says when to give up.
//
// Accompany is for a command that has our terminal, or for none. A command
// that is not trusted with it gets a pseudoterminal of its own, and what is
// typed and shown is handed on:
//
//	pty, err := tty.Open(os.Stdin, os.Stdout, os.Stderr)
//	defer pty.Close()
//	… start the command with pty.Files, as leader of a session that has the
//	  pseudoterminal as its controlling terminal …
//	state, err := pty.Relay(signals, process)
package tty

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals are those that were meant for the command, since Catch. They serve
// several commands one after the other: to begin and to end catching a signal
// takes Go a tenth of a millisecond each time, and there are ten.
type Signals struct {
	c     chan os.Signal
	kept  []syscall.Signal // by Until, for the command
	ended atomic.Int32     // see Ended
}

// Catch begins to catch the signals that would end this program and are meant
// for the command. Call it before the command is started, so that none is lost
// in between. A signal that is ignored (nohup(1)) stays so, for the command as
// well.
func Catch() *Signals {
	s := &Signals{c: make(chan os.Signal, 64)}
	s.also(unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTSTP)
	return s
}

// Stop gives the signals the effects back that they had before Catch. It may be
// called again.
func (s *Signals) Stop() { signal.Stop(s.c) }

// Ended is for between two commands: it says which signal came, before or now,
// that would have ended this program if it had not been caught, and does what
// the others ask for; 0 if none came.
func (s *Signals) Ended() syscall.Signal {
	for {
		select {
		case sig := <-s.c:
			s.note(sig)
			if sig == unix.SIGTSTP && isJob() {
				stopSelf()
			}
		default:
			return syscall.Signal(s.ended.Load())
		}
	}
}

// Until waits for the command's start, which done tells of. A signal that would
// have ended this program and comes before that is returned at once; 0: done came
// first. The command gets them all, if it starts.
func (s *Signals) Until(done <-chan struct{}) syscall.Signal {
	for {
		select {
		case caught := <-s.c:
			s.note(caught)
			sig := caught.(syscall.Signal)
			s.kept = append(s.kept, sig)
			if ends(sig) {
				return sig
			}
		case <-done:
			return 0
		}
	}
}

// note remembers a signal that would have ended this program.
func (s *Signals) note(sig os.Signal) {
	if ends(sig) {
		s.ended.CompareAndSwap(0, int32(sig.(syscall.Signal)))
	}
}

// ends says that a signal asks this program to end.
func ends(sig os.Signal) bool {
	switch sig {
	case unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT:
		return true
	}
	return false
}

// also catches more signals, except those that are ignored.
func (s *Signals) also(more ...os.Signal) {
	for _, sig := range more {
		if !signal.Ignored(sig) {
			signal.Notify(s.c, sig)
		}
	}
}

// handle calls fn for each signal, those since Catch included, until the
// function that it returns is called. Of those it says that they are early: the
// command was not there yet, or not ready to hear the keyboard.
func (s *Signals) handle(fn func(sig syscall.Signal, early bool)) (end func()) {
	done := make(chan struct{})
	early, kept := len(s.c), s.kept
	s.kept = nil
	var running sync.WaitGroup
	running.Go(func() {
		for _, sig := range kept {
			fn(sig, true)
		}
		for ; ; early-- {
			select {
			case sig := <-s.c:
				s.note(sig)
				fn(sig.(syscall.Signal), early > 0)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
