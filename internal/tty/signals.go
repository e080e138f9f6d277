// Package tty lets this program stand in for a command that it has started, as
// if the command had been started in its place: signals, the stops and
// continuations of job control, and the terminal.
//
//	signals := tty.Catch()
//	defer signals.Stop()
//	… start the command …
//	state, err := signals.Accompany(process)
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
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals are those that were meant for the command, since Catch.
type Signals struct {
	c chan os.Signal
}

// Catch begins to catch the signals that would end this program and are meant
// for the command. Call it before the command is started, so that none is lost
// in between. A signal that is ignored (nohup(1)) stays so, for the command as
// well.
func Catch() *Signals {
	s := &Signals{make(chan os.Signal, 64)}
	s.also(unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	return s
}

// Stop gives the signals the effects back that they had before Catch. It may be
// called again.
func (s *Signals) Stop() { signal.Stop(s.c) }

// also catches more signals, but for those that are ignored.
func (s *Signals) also(more ...os.Signal) {
	for _, sig := range more {
		if !signal.Ignored(sig) {
			signal.Notify(s.c, sig)
		}
	}
}

// handle calls fn for each signal, those since Catch included, until the
// function that it returns is called.
func (s *Signals) handle(fn func(syscall.Signal)) (end func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case sig := <-s.c:
				fn(sig.(syscall.Signal))
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
