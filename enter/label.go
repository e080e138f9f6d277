package enter

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// labelOf reads the label that AppArmor or SELinux gave the process; nil if
// there is none. AppArmor's reads "docker-default (enforce)" and is set by
// writing "exec docker-default"; SELinux's is a context, set as it is
// (Documentation/userspace-api/lsm.rst, apparmor_parser(8)).
func labelOf(t *inspect.Target) (*label, error) {
	text, err := t.ReadFile("attr/apparmor/current")
	path := "/proc/self/attr/apparmor/exec"
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		// Before Linux 5.1, or another module's.
		path = "/proc/self/attr/exec"
		text, err = t.ReadFile("attr/current")
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, nil // no module has labels, or the kernel has no modules
	}
	return parseLabel(path, string(text)), err
}

func parseLabel(path, text string) *label {
	text = strings.TrimRight(text, "\x00\n")
	if text == "" || text == "unconfined" || text == "kernel" { // SELinux without a policy
		return nil
	}
	// A profile's name may have blanks and parentheses too.
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") {
		return &label{path, "exec " + text[:i]}
	}
	if strings.Contains(path, "apparmor") {
		return &label{path, "exec " + text}
	}
	return &label{path, text}
}

// before is the steps before a namespace is joined, while /proc is ours.
func (r *rights) before(p *launcher.Program) {
	if r.label == nil {
		return
	}
	open, write := p.WriteFile(r.label.path, r.label.text)
	open.Explain(func(step *launcher.StepError) error {
		return r.withoutLabel(step, "this program has to write its label there before it joins anything")
	})
	write.Explain(func(step *launcher.StepError) error { return r.withoutLabel(step, r.label.explain(step.Errno)) })
}

// withoutLabel is the error of a step of before.
func (r *rights) withoutLabel(step *launcher.StepError, why string) error {
	return &Error{What: fmt.Sprintf("taking on the label of %s (%s)", r.of, step.Step), Err: step.Errno, Why: why, Reason: ErrLabel}
}

// explain says why a label may not be taken on.
func (l *label) explain(errno unix.Errno) string {
	name, apparmor := strings.CutPrefix(l.text, "exec ")
	switch {
	case apparmor && errno == unix.ENOENT:
		return "AppArmor has no such profile, or none that this program can see from its policy namespace"
	case apparmor && errno == unix.EACCES:
		if own, err := os.ReadFile("/proc/self/attr/apparmor/current"); err == nil {
			return fmt.Sprintf("this program itself is confined by %q, which needs the rule: change_profile -> %q", strings.TrimRight(string(own), "\x00\n"), name)
		}
	}
	return "the policy does not let this program start it so"
}
