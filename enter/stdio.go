package enter

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"time"

	"golang.org/x/sys/unix"
)

// files are a command's standard files on their way to it.
type files struct {
	of     [3]*os.File
	opened []*os.File // by us, for the command alone
	copies []func() error
}

// theirs are the files that the command gets.
func (f *files) theirs() []*os.File { return f.of[:] }

// close closes here what is the command's.
func (f *files) close() {
	for _, file := range f.opened {
		file.Close()
	}
}

// openFiles opens the command's standard files: what is no file becomes a pipe,
// whose other end is kept in c.pipes. Close what is returned also after
// an error.
func (c *Cmd) openFiles() (*files, error) {
	f := &files{}
	var null *os.File
	for i, stream := range []any{c.Stdin, c.Stdout, c.Stderr} {
		if file, ok := stream.(*os.File); ok && file != nil {
			f.of[i] = file
			continue
		}
		switch {
		case stream == nil || reflect.ValueOf(stream).Kind() == reflect.Pointer && reflect.ValueOf(stream).IsNil():
			if null == nil {
				var err error
				if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
					return f, err
				}
				f.opened = append(f.opened, null)
			}
			f.of[i] = null
		case i == 2 && same(c.Stdout, c.Stderr):
			f.of[2] = f.of[1]
		default:
			if err := c.pipe(f, i, stream); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

// same says that two writers are one. Some cannot be compared.
func same(a, b io.Writer) (equal bool) {
	defer func() { _ = recover() }()
	return a == b
}

// pipe makes the pipe in place of a stream, and what copies.
func (c *Cmd) pipe(f *files, i int, stream any) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	ours, theirs := r, w
	if i == 0 {
		ours, theirs = w, r
	}
	f.of[i] = theirs
	f.opened, c.pipes = append(f.opened, theirs), append(c.pipes, ours)
	f.copies = append(f.copies, func() error {
		defer ours.Close()
		if i > 0 {
			_, err := io.Copy(stream.(io.Writer), ours)
			return err
		}
		_, err := io.Copy(ours, stream.(io.Reader))
		if errors.Is(err, unix.EPIPE) {
			err = nil // the command does not have to read all of it
		}
		return err
	})
	return nil
}

// copy begins to copy.
func (c *Cmd) copy(copies []func() error) {
	c.copies, c.copying = len(copies), make(chan error, len(copies))
	for _, do := range copies {
		go func() { c.copying <- do() }()
	}
}

// endCopying waits for what copies. After WaitDelay the pipes are closed, which ends
// it: the command has left somebody behind who has them open.
func (c *Cmd) endCopying() (failure error) {
	defer c.closePipes()
	var late <-chan time.Time
	if c.WaitDelay > 0 {
		timer := time.NewTimer(c.WaitDelay)
		defer timer.Stop()
		late = timer.C
	}
	for c.copies > 0 {
		select {
		case err := <-c.copying:
			c.copies--
			if failure == nil {
				failure = err
			}
		case <-late:
			c.closePipes()
			failure = exec.ErrWaitDelay // and not what comes of that
		}
	}
	return failure
}

func (c *Cmd) closePipes() {
	for _, pipe := range c.pipes {
		pipe.Close()
	}
	c.pipes = nil
}

// watchContext begins to watch.
func (c *Cmd) watchContext() {
	if c.context().Done() == nil {
		return
	}
	c.watch = &watch{make(chan struct{}), make(chan error, 1)}
	go func() { c.watch.cancelled <- c.cancel() }()
}

// cancel waits for the context and ends the command.
func (c *Cmd) cancel() error {
	select {
	case <-c.watch.ended:
		return nil
	case <-c.context().Done():
	}
	end := c.Cancel
	if end == nil {
		end = c.Process.Kill
	}
	err := end()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err == nil {
		err = interruption(c.context(), os.ErrProcessDone)
	}
	if c.WaitDelay > 0 {
		select {
		case <-c.watch.ended:
		case <-time.After(c.WaitDelay):
			_ = c.Process.Kill()
		}
	}
	return err
}

// endWatch ends the watch when the process has ended.
func (c *Cmd) endWatch() error {
	if c.watch == nil {
		return nil
	}
	close(c.watch.ended)
	return <-c.watch.cancelled
}
