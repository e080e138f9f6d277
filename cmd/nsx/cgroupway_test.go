package main

import (
	"fmt"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
	"nsx/enter"
)

// What package cgroupfs says in its own words ends in a command line that works.
func TestGroupWay(t *testing.T) {
	set := cgroupfs.Remedy{Verb: cgroupfs.VerbSet, Group: "/demo", Settings: []keys.Setting{{Key: "memory.max", Value: "…"}, {Key: "pids.max", Value: "max"}}}
	for _, c := range []struct {
		flags []string
		err   error
		want  string
	}{
		{nil, unix.EPERM, ""},
		{nil, &cgroupfs.Error{Err: unix.EBUSY}, ""},
		{nil, &cgroupfs.Error{Err: unix.EAGAIN, Next: "raise it", Remedy: &set}, ": nsx cgroup set /demo memory.max=… pids.max=max"},
		{nil, &cgroupfs.Error{Remedy: &cgroupfs.Remedy{Verb: cgroupfs.VerbCreate, Group: "/a", Controllers: []string{"cpu", "pids"}, Only: "v2"}}, ": nsx cgroup create --only v2 --controllers cpu,pids /a"},
		{nil, &cgroupfs.Error{Remedy: &cgroupfs.Remedy{Verb: cgroupfs.VerbThaw, Group: "/a", Forced: true}}, ": nsx cgroup thaw /a --force"},
		{nil, &cgroupfs.Error{Remedy: &cgroupfs.Remedy{Verb: cgroupfs.VerbStart, Group: "/a"}}, ": nsx cgroup run /a"},
		// No flag that the command lacks.
		{nil, &cgroupfs.Error{Reason: cgroupfs.ErrOwned, Next: "use docker pause web"}, ""},
		{[]string{"force"}, &cgroupfs.Error{Reason: cgroupfs.ErrOwned, Next: "use docker pause web"}, ", or force it (--force)"},
		{[]string{"force"}, &cgroupfs.Error{Reason: cgroupfs.ErrKernelThread}, "; force it (--force)"},
		{[]string{"force"}, fmt.Errorf("more: %w", &cgroupfs.Error{Reason: cgroupfs.ErrWouldKill}), "; force it (--force)"},
		{[]string{"force", "recursive"}, &cgroupfs.Error{Reason: cgroupfs.ErrNotEmpty}, "; remove them too with -r"},
		{[]string{"threads"}, &cgroupfs.Error{Reason: cgroupfs.ErrThread, Next: "attach 5"}, ", or name threads with --threads"},
		// Both ways where package enter has refused for the group.
		{
			[]string{"own-cgroup"},
			&enter.Error{Err: &cgroupfs.Error{Remedy: &cgroupfs.Remedy{Verb: cgroupfs.VerbThaw, Group: "/a"}}, Reason: enter.ErrCgroups},
			": nsx cgroup thaw /a; --own-cgroup leaves the command in our own cgroups",
		},
	} {
		cmd := &cobra.Command{}
		for _, name := range c.flags {
			cmd.Flags().Bool(name, false, "")
		}
		if got := wayOut(cmd.Flags(), c.err); got != c.want {
			t.Errorf("%+v: %q, want %q", c.err, got, c.want)
		}
	}
}
