package enter

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"nsx/internal/launcher"
)

// launch starts the helper, in attr.Cgroup if the kernel can have it born there.
// Since Linux 6.14 it kills at birth (SIGKILL) whoever is born in a group that was
// killed another number of times than its parent's (cgroup.kill): what should find
// a kill in the middle of a fork compares the counts of two groups
// (cgroup_css_set_fork and cgroup_post_fork in kernel/cgroup/cgroup.c). Then the
// helper is born outside, and moved in by the step of the program that waits for
// Entrance.Admit, as on v1. That is always possible, but takes the kernel some
// milliseconds, or sixty where others keep the machine busy.
func launch(ctx context.Context, prog *launcher.Program, attr launcher.Attr) (*os.Process, error) {
	process, err := launcher.Start(ctx, prog, attr)
	died, ok := errors.AsType[*launcher.DiedError](err)
	if attr.Cgroup == nil || !ok || !died.Silent || died.Status.Signal() != unix.SIGKILL {
		return process, err
	}
	attr.Cgroup = nil
	return launcher.Start(ctx, prog, attr)
}
