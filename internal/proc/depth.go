package proc

import "github.com/prometheus/procfs"

// Depth reads single processes of a mounted procfs in depth, by prometheus/procfs.
// That trusts the kernel: it is not for captured trees, where five uids would be
// too many for it, and a list of CPUs as long as it says.
type Depth struct{ fs procfs.FS }

// OpenDepth is for the procfs at dir.
func OpenDepth(dir string) (Depth, error) {
	fs, err := procfs.NewFS(dir)
	return Depth{fs}, err
}

// Who is a process's effective user and its PIDs, from the procfs's PID namespace
// down to its own. One that is gone is ENOENT or ESRCH.
func (d Depth) Who(pid int) (uid uint32, pids []int, err error) {
	p, err := d.fs.Proc(pid)
	if err != nil {
		return 0, nil, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return 0, nil, err
	}
	for _, n := range status.NSpids { // none before Linux 4.1
		pids = append(pids, int(n))
	}
	return uint32(status.UIDs[1]), pids, nil
}
