package enter

import (
	"strings"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// rights is what a command that is the target's own code may do at the most.
type rights struct {
	of         string
	bounding   uint64
	noNewPrivs bool
	label      *label
}

// label is the target's label of a security module, and where it is written to
// take effect at the next execve.
type label struct {
	path, text string
}

// rightsOf reads a process's rights.
func rightsOf(t *inspect.Target, status inspect.Status) *rights {
	return &rights{t.Name(), status.Bounding, status.NoNewPrivs, labelOf(t)}
}

// labelOf reads the label that AppArmor or SELinux gave the process; nil if
// there is none. AppArmor's reads "docker-default (enforce)" and is set by
// writing "exec docker-default"; SELinux's is a context, set as it is
// (Documentation/userspace-api/lsm.rst, apparmor_parser(8)).
func labelOf(t *inspect.Target) *label {
	text, err := t.ReadFile("attr/apparmor/current")
	path := "/proc/self/attr/apparmor/exec"
	if err != nil {
		// Before Linux 5.1, or another module's.
		if text, err = t.ReadFile("attr/current"); err != nil {
			return nil // EINVAL: no module has labels
		}
		path = "/proc/self/attr/exec"
	}
	return parseLabel(path, string(text))
}

func parseLabel(path, text string) *label {
	text = strings.TrimRight(text, "\x00\n")
	if text == "" || text == "unconfined" || strings.HasPrefix(text, "kernel") {
		return nil
	}
	if name, mode, ok := strings.Cut(text, " ("); ok && strings.HasSuffix(mode, ")") {
		return &label{path, "exec " + name}
	}
	if strings.Contains(path, "apparmor") {
		return &label{path, "exec " + text}
	}
	return &label{path, text}
}

// before is the steps before a namespace is joined, while /proc is ours.
func (r *rights) before(p *launcher.Program) {
	if r != nil && r.label != nil {
		p.WriteFile(r.label.path, r.label.text)
	}
}

// steps gives up what is beyond the rights. A root's execve takes what is
// inheritable past the bounding set (capabilities(7)): so that is emptied too.
func (r *rights) steps(p *launcher.Program) {
	if r == nil {
		return
	}
	p.BoundingSet(r.bounding)
	p.AmbientSet(0)
	p.ClearInheritable()
	if r.noNewPrivs {
		p.NoNewPrivileges()
	}
}
