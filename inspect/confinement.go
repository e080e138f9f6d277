package inspect

import "context"

// Confinement is the part of a process's Profile that says what holds it: its rights,
// and what is mounted where it is. The process is one of a snapshot that was made with
// Names and with details of it; one that is no more is ErrGone.
func (m Machine) Confinement(ctx context.Context, s *Snapshot, pid int) (*Profile, error) {
	process := s.Process(pid)
	if process == nil {
		return nil, noProcess(pid)
	}
	p := &Profile{
		Kind: OfProcess, Host: s.Host, Kernel: s.Kernel, ScannedAt: s.ScannedAt, Unreadable: []Unreadable{},
		Process: process, Identity: process.Identity, PIDs: []int{pid},
	}
	l := &look{machine: m, snapshot: s, profile: p, live: m.isLive()}
	if err := l.open(process); err != nil {
		return nil, err
	}
	defer l.files.close()
	l.rights()
	l.mounts()
	if !l.files.isStill(process) {
		return nil, noProcess(pid)
	}
	p.settle(s.Hidden)
	return p, ctx.Err()
}
