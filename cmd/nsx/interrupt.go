package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// interruptible calls do, which changes something, with a context that ends
// when a signal asks nsx to end, so that do can put back what it did; run then
// ends nsx by that signal. A second signal ends it at once. What only looks
// needs none of that, and ends as any program does; a command that nsx stands in
// for has its signals from package enter.
func interruptible(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if !signal.Ignored(sig) { // by nohup(1), or a shell's &
			signal.Notify(signals, sig)
		}
	}
	defer signal.Stop(signals)
	go func() {
		select {
		case sig := <-signals:
			signal.Stop(signals)
			cancel(&signalError{sig.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return do(ctx)
}

// signalError is why an interruptible context ended.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return "interrupted by " + unix.SignalName(e.signal) }

// Unwrap is for the libraries, which know nothing of signals.
func (e *signalError) Unwrap() error { return context.Canceled }

// interruptedBy is the signal that ended what failed with this error, or 0.
func interruptedBy(err error) syscall.Signal {
	if by, ok := errors.AsType[*signalError](err); ok {
		return by.signal
	}
	return 0
}

// dieBy ends nsx by a signal, so that the shell sees what it expects after ^C.
// It returns only if something keeps that from happening.
func dieBy(sig syscall.Signal) {
	signal.Reset(sig)
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Second) // it is another thread that takes it
}
