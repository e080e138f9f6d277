package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Attr says how to start a program.
type Attr struct {
	// Argv and Env are for the program that is executed. Argv has argv[0].
	Argv, Env []string
	// Files are the descriptors 0, 1 and 2 of the helper and of the program that it
	// executes; nil is a closed one, as are those that are missing. There are no
	// others, whatever this process has inherited, but those of [Program.File] for
	// the helper.
	Files []*os.File
	// KeepOpen leaves open what this process has open that is not close-on-exec, as
	// execve(2) does. In a Go program that is what it has inherited.
	KeepOpen bool
	// Cgroup, if not nil, is a directory of cgroup v2 in which the helper is
	// created: CLONE_INTO_CGROUP of clone(2).
	Cgroup *os.File
	// Inherited is what the program gets that this process was started with; nil:
	// what this process has, as far as Go leaves it alone.
	Inherited *Inherited
	// Way is how the helper is made.
	Way Way
}

// Inherited is what a program inherits over execve(2) and Go's runtime changes
// in a process of its own: signal(7), getrlimit(2).
type Inherited struct {
	// Ignored and Blocked are sets of signals: bit n-1 is signal n. What this
	// process ignores is ignored in any case.
	Ignored, Blocked uint64
	NoFile           unix.Rlimit // RLIMIT_NOFILE
}

// Way is how the helper is made.
type Way int

// The ways.
const (
	Auto  Way = iota // Memfd, or Clone if a memfd cannot be executed
	Memfd            // a new program in a sealed memfd
	Clone            // a copy of this process
	// Vfork, or Memfd if clone3(2) is refused, is a process that uses our memory until it executes another program
	// or ends, and holds up the calling thread till then. It takes half the time
	// of the others. It is for programs that leave alone what belongs to memory
	// and does not come back with it (NotDumpable, ids, capabilities: see
	// commit_creds in kernel/cred.c), that join no user, time or PID namespace,
	// and that neither fork nor ask the parent.
	Vfork
)

// Start starts a process that carries the program out, and returns when that
// has executed another program or has come to the end. The process returned is
// the last one of the program: the child of [Program.Fork] or else the helper
// itself. Either is our own child, for Wait.
//
// A failed step is what [Step.Explain] says of it, or a [*StepError]; a helper that
// could not be made a [*HelperError], one that was killed a [*DiedError]. For a
// program that ends by [Program.Exit] with 0 under [Program.Trace] the process is
// nil: it is over.
// After an error, also that of a cancelled context, nothing is left running.
//
// The thread that calls Start is the parent that [Program.DieWithParent] means;
// it must not end before the process, as a thread does whose goroutine ends
// while locked to it (runtime.LockOSThread).
func Start(ctx context.Context, p *Program, a Attr) (*os.Process, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if err := check(p, a); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r, err := newRun(p, a)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.start(); err != nil {
		return nil, &HelperError{err}
	}
	process, err := r.accompany(ctx)
	return process, explained(err)
}

// check finds mistakes before anything is started.
func check(p *Program, a Attr) error {
	if len(a.Argv) == 0 {
		return errors.New("launcher: no argv[0]")
	}
	if len(a.Files) > stdFiles {
		return fmt.Errorf("launcher: %d files: there are three standard ones", len(a.Files))
	}
	for _, s := range append(slices.Clip(a.Argv), a.Env...) {
		if strings.IndexByte(s, 0) >= 0 {
			return &StepError{Step: fmt.Sprintf("argument %q", s), Errno: unix.EINVAL}
		}
	}
	asks := func(in insn) bool { return in.record == recordParent || in.record == recordTrace }
	if a.Way == Vfork && (p.forked || slices.ContainsFunc(p.insns, asks)) {
		return errors.New("launcher: Vfork is for programs that neither fork nor ask the parent")
	}
	for l, at := range p.labels {
		if at < 0 {
			return fmt.Errorf("launcher: label %d is not placed", l)
		}
	}
	return nil
}
