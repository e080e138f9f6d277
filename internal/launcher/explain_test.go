package launcher

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// reason is what explanations are tested with.
type reason struct {
	of  string
	err *StepError
}

func (r *reason) Error() string { return r.of }
func (r *reason) Unwrap() error { return r.err }

// TestExplain has each step say what its failure means, whatever its name, how the
// helper was made and who tells of the failure.
func TestExplain(t *testing.T) {
	missing := "/proc/self/fdinfo/nonexistent"
	explains := func(of string) func(*StepError) error {
		return func(err *StepError) error { return &reason{of, err} }
	}
	silent := func(*StepError) error { return nil }
	cases := []struct {
		name  string
		build func(*Program)
		want  string // "": the step's own error
		errno unix.Errno
	}{
		{"a call", func(p *Program) {
			p.Chdir("/").Explain(explains("another"))
			p.Chdir(missing).Explain(explains("chdir"))
			p.Chdir(missing).Explain(explains("a later one"))
		}, "chdir", unix.ENOENT},
		{"one of several of a name", func(p *Program) {
			p.Setns("join", Int(98), 0).Ignore().Explain(explains("ignored"))
			p.Setns("join", Int(99), 0).Explain(explains("the second"))
		}, "the second", unix.EBADF},
		{"open", func(p *Program) {
			open, write := p.WriteFile(missing, "1")
			open.Explain(explains("open"))
			write.Explain(explains("write"))
		}, "open", unix.ENOENT},
		{"write", func(p *Program) {
			open, write := p.WriteFile("/dev/full", "1")
			open.Explain(explains("open"))
			write.Explain(explains("write"))
		}, "write", unix.ENOSPC},
		{"execve", func(p *Program) { p.Exec(missing, "").Explain(explains("execve")) }, "execve", unix.ENOENT},
		{"one that cannot tell", func(p *Program) { p.Chdir(missing).Explain(silent) }, "", unix.ENOENT},
		{"one without", func(p *Program) { p.Chdir(missing) }, "", unix.ENOENT},
	}
	for _, way := range []Way{Memfd, Clone, Vfork} {
		for _, traced := range []bool{false, true} {
			if traced && way == Vfork {
				continue
			}
			for _, c := range cases {
				t.Run(fmt.Sprintf("%s/way %d/traced %v", c.name, way, traced), func(t *testing.T) {
					var p Program
					if traced {
						p.Trace("trace", Tracing{Proof: func(int) error { return nil }})
					}
					c.build(&p)
					err := refused(t, &p, Attr{Way: way})
					got := ""
					if r, ok := errors.AsType[*reason](err); ok {
						got = r.of
					}
					step, ok := errors.AsType[*StepError](err)
					if got != c.want || !ok || step.Errno != c.errno {
						t.Errorf("%q (%v), want %q and %v", got, err, c.want, c.errno)
					}
				})
			}
		}
	}
}
