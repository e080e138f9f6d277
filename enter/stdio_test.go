package enter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/testkit"
)

// runner is what Cmd and os/exec's Cmd have in common.
type runner interface {
	Start() error
	Wait() error
	Run() error
	Output() ([]byte, error)
	CombinedOutput() ([]byte, error)
}

// TestLikeOSExec does the same with our Cmd and os/exec's: what they do with
// streams and how they end is to be the same.
func TestLikeOSExec(t *testing.T) {
	testkit.CheckLeaks(t)
	plan := planFor(t, "self")
	full := errors.New("full")
	type set func(in io.Reader, out, errout io.Writer, delay time.Duration)
	for _, c := range []struct {
		name, script string
		do           func(r runner, set set) string
	}{
		{"reader and writers", `cat; echo err >&2`, func(r runner, set set) string {
			var out, errout bytes.Buffer
			set(strings.NewReader("from a reader\n"), &out, &errout, 0)
			return fmt.Sprint(r.Run(), out.String(), errout.String())
		}},
		{"one writer for both", `echo out; echo err >&2; echo out`, func(r runner, set set) string {
			var both bytes.Buffer
			set(nil, &both, &both, 0)
			return fmt.Sprint(r.Run(), both.String())
		}},
		{"writers that cannot be compared", `echo out; echo err >&2`, func(r runner, set set) string {
			set(nil, uncomparable{nil}, uncomparable{nil}, 0)
			return fmt.Sprint(r.Run())
		}},
		{"Output", `echo out; echo err >&2; exit 3`, func(r runner, _ set) string {
			out, err := r.Output()
			return string(out) + endOf(err)
		}},
		{"CombinedOutput", `echo out; echo err >&2; kill -TERM $$`, func(r runner, _ set) string {
			out, err := r.CombinedOutput()
			return string(out) + endOf(err)
		}},
		{"Output with a Stdout", `true`, func(r runner, set set) string {
			set(nil, io.Discard, nil, 0)
			_, err := r.Output()
			return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "enter: "), "exec: ")
		}},
		{"much of both", `head -c 300000 /dev/zero; cat >/dev/null`, func(r runner, set set) string {
			var out bytes.Buffer
			set(io.LimitReader(endless{}, 300000), &out, nil, 0)
			return fmt.Sprint(r.Run(), out.Len())
		}},
		{"input that is not read", `exec true`, func(r runner, set set) string {
			set(endless{}, nil, nil, 0)
			return fmt.Sprint(r.Run())
		}},
		{"a reader that fails", `cat`, func(r runner, set set) string {
			var out bytes.Buffer
			set(io.MultiReader(strings.NewReader("some"), failing{full}), &out, nil, 0)
			return fmt.Sprint(r.Run(), out.String())
		}},
		{"a writer that fails", `echo out`, func(r runner, set set) string {
			set(nil, failing{full}, nil, 0)
			return fmt.Sprint(r.Run())
		}},
		{"a writer that fails, and a status", `echo out; exit 4`, func(r runner, set set) string {
			set(nil, failing{full}, nil, 0)
			return fmt.Sprint(r.Run())
		}},
		{"output that is left open", `echo out; sleep 20 & echo $! >&2`, func(r runner, set set) string {
			var out, pid bytes.Buffer
			set(nil, &out, &pid, 100*time.Millisecond)
			err := r.Run()
			_ = exec.Command("kill", strings.TrimSpace(pid.String())).Run()
			return fmt.Sprint(err, errors.Is(err, exec.ErrWaitDelay), out.String())
		}},
		{"Wait before Start", `true`, func(r runner, _ set) string { return said(r.Wait()) }},
		{"Start twice", `true`, func(r runner, _ set) string {
			return said(r.Start()) + said(r.Start()) + said(r.Wait())
		}},
		{"Wait twice", `exit 1`, func(r runner, _ set) string {
			return said(r.Start()) + said(r.Wait()) + said(r.Wait()) + said(r.Start())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := Command(plan, "sh", "-c", c.script), exec.Command("sh", "-c", c.script)
			got := c.do(ours, func(in io.Reader, out, errout io.Writer, delay time.Duration) {
				ours.Stdin, ours.Stdout, ours.Stderr, ours.WaitDelay = in, out, errout, delay
			})
			want := c.do(theirs, func(in io.Reader, out, errout io.Writer, delay time.Duration) {
				theirs.Stdin, theirs.Stdout, theirs.Stderr, theirs.WaitDelay = in, out, errout, delay
			})
			if got != want {
				t.Errorf("got %q, os/exec has %q", got, want)
			}
		})
	}
}

func said(err error) string {
	if err == nil {
		return "nil;"
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "enter: "), "exec: ") + ";"
}

// endOf is the end of a command as both have it.
func endOf(err error) string {
	if e, ok := errors.AsType[*ExitError](err); ok {
		return fmt.Sprintf("%v: %d, %q", e, e.ExitCode(), e.Stderr)
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Sprintf("%v: %d, %q", e, e.ExitCode(), e.Stderr)
	}
	return fmt.Sprint(err)
}

type uncomparable struct{ of []byte }

func (uncomparable) Write(b []byte) (int, error) { return len(b), nil }

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestCommandContext ends commands by their context, before and after they start.
func TestCommandContext(t *testing.T) {
	testkit.CheckLeaks(t)
	plan := planFor(t, "self")
	ended, end := context.WithCancel(t.Context())
	end()
	c := CommandContext(ended, plan, "true")
	if err := c.Start(); !errors.Is(err, context.Canceled) || c.Process != nil {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := CommandContext(ended, plan, "true").Try(); !errors.Is(err, context.Canceled) {
		t.Errorf("tried with a context that has ended: %v", err)
	}

	within := func(t *testing.T, limit time.Duration, c *Cmd, end func()) error {
		t.Helper()
		var out ready
		out.said = make(chan struct{})
		c.Stdout = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		<-out.said
		end()
		begin := time.Now()
		err := c.Wait()
		if took := time.Since(begin); took > limit {
			t.Errorf("it took %v", took)
		}
		if c.ProcessState == nil {
			t.Error("no state")
		}
		return err
	}
	const limit = 10 * time.Second
	t.Run("killed", func(t *testing.T) {
		ctx, end := context.WithCancelCause(t.Context())
		err := within(t, limit, CommandContext(ctx, plan, "sh", "-c", "echo; exec sleep 30"), func() { end(io.ErrUnexpectedEOF) })
		exit, ok := errors.AsType[*ExitError](err)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, io.ErrUnexpectedEOF) || !ok || exit.ShellStatus() != 137 {
			t.Errorf("%v", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		ctx, end := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer end()
		if err := CommandContext(ctx, plan, "sleep", "30").Run(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("asked", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		c := CommandContext(ctx, plan, "sh", "-c", "trap 'exit 0' TERM; echo; while :; do sleep 0.05; done")
		c.Cancel = func() error { return c.Process.Signal(unix.SIGTERM) }
		if err := within(t, limit, c, end); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	t.Run("asked in vain", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		c := CommandContext(ctx, plan, "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done")
		c.Cancel, c.WaitDelay = func() error { return c.Process.Signal(unix.SIGTERM) }, 200*time.Millisecond
		err := within(t, limit, c, end)
		if exit, ok := errors.AsType[*ExitError](err); !errors.Is(err, context.Canceled) || !ok || exit.ShellStatus() != 137 {
			t.Errorf("%v", err)
		}
	})
	t.Run("too late", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		c := CommandContext(ctx, plan, "true")
		if err := c.Run(); err != nil {
			t.Errorf("%v", err)
		}
		end()
	})
}

// ready tells when something has been written.
type ready struct {
	said chan struct{}
	done bool
}

func (r *ready) Write(b []byte) (int, error) {
	if !r.done {
		close(r.said)
		r.done = true
	}
	return len(b), nil
}

// TestZeroValues uses what nobody has made.
func TestZeroValues(t *testing.T) {
	var c Cmd
	for _, err := range []error{c.Start(), c.Run(), c.Try()} {
		if !errors.Is(err, ErrUsage) {
			t.Errorf("a Cmd without a plan: %v", err)
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("it can be waited for")
	}
	var p Plan
	if out, err := Command(&p, "echo", "here").Output(); err != nil || string(out) != "here\n" {
		t.Errorf("a plan without anything: %q, %v", out, err)
	}
	if err := Do(t.Context(), &p, func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if plan, err := NewPlan(t.Context(), []Request{{}}, Options{}); !errors.Is(err, ErrUsage) {
		t.Errorf("a request of nothing: %v, %v", plan, err)
	}
	if err := Do(t.Context(), nil, func() error { return nil }); !errors.Is(err, ErrUsage) {
		t.Errorf("no plan: %v", err)
	}
}
