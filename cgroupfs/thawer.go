package cgroupfs

import (
	"context"

	"golang.org/x/sys/unix"

	"nsx/internal/launcher"
)

// thawer is a process that watches over a group that is frozen only in passing:
// while Freeze waits for it, or Kill for what is inside to stop. If this process
// ends meanwhile, by whatever, even SIGKILL, it thaws the group: nobody else
// would, and all that is inside would stand still for good. It hears of that by
// the end of its socket to us, which the kernel closes. PR_SET_PDEATHSIG would
// tell of the end of a thread, and could only kill.
type thawer struct {
	cancel context.CancelFunc
	gone   chan struct{}
}

// watch starts the thawer of a group, before that is frozen. There is none where
// processes are used up, or for an architecture without a launcher: freezing is
// not refused for that.
func (h *Hierarchy) watch(group string) *thawer {
	file, word := h.freezeWord(false)
	to, err := h.openat(group, file, unix.O_WRONLY)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &thawer{cancel: cancel, gone: make(chan struct{})}
	ready := make(chan struct{})
	var p launcher.Program
	p.Setsid().Ignore() // no keyboard ends it
	p.Parent("watch over a frozen group", func(int) error { close(ready); return nil })
	p.Call("wait", unix.SYS_READ, launcher.Report, p.Words(0), launcher.Int(1)).Ignore()
	p.Call("thaw", unix.SYS_WRITE, p.File(to), p.String(word), launcher.Int(len(word)))
	p.Exit(0)
	go func() {
		defer close(t.gone)
		defer to.Close()
		process, err := launcher.Start(ctx, &p, launcher.Attr{Argv: []string{"nsx-thaw"}})
		if err == nil {
			_, _ = process.Wait()
		}
	}()
	select {
	case <-ready:
	case <-t.gone: // it could not be started
	}
	return t
}

// release ends it, when the group is thawed or should stay frozen.
func (t *thawer) release() {
	if t != nil {
		t.cancel()
		<-t.gone
	}
}
