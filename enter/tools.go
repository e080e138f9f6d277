package enter

import (
	"errors"
	"fmt"

	"nsx/inspect"
)

// RootEnv is the environment variable in which a command of Options.HostTools
// finds the target's root directory.
const RootEnv = "NSX_ROOT"

// showRoot finds the path under which a host's tool reaches the target's root:
// through /proc, where the target has the PID of the namespace that is joined.
func (p *Plan) showRoot(of *inspect.Target) error {
	if of == nil || of.PID == 0 {
		return errors.New("the host's tools take a process as the target, whose root directory they find in $" + RootEnv)
	}
	pid := of.PID
	if p.Has(inspect.PID) {
		p.options.MountProc = true
		status, err := of.Status()
		if err != nil {
			return explainOpen("the status", of, err)
		}
		pid = status.NSPID
	}
	p.env = append(p.env, fmt.Sprintf("%s=/proc/%d/root", RootEnv, pid))
	return nil
}
