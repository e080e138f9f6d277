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
	dir := "attr/apparmor/"
	text, err := t.ReadFile(dir + "current")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		// Before Linux 5.1, or another module's.
		dir = "attr/"
		text, err = t.ReadFile(dir + "current")
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, nil // no module has labels, or the kernel has no modules
	}
	return parseLabel(dir, string(text)), err
}

func parseLabel(dir, text string) *label {
	text = shownLabel(text)
	if text == "" || text == "unconfined" || text == "kernel" { // SELinux without a policy
		return nil
	}
	l := &label{file: dir + "current", shown: text, path: "/proc/self/" + dir + "exec", text: text}
	// A profile's name may have blanks and parentheses too.
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") {
		l.text = "exec " + text[:i]
	} else if strings.Contains(dir, "apparmor") {
		l.text = "exec " + text
	}
	return l
}

// shownLabel is what a file has, without what modules end it with.
func shownLabel(text string) string { return strings.TrimRight(text, "\x00\n") }

// context is the label if it is SELinux's, whose policy is asked when the command is
// executed, and not when the label is written.
func (r *rights) context() string {
	if r == nil || r.label == nil || strings.HasPrefix(r.label.text, "exec ") {
		return ""
	}
	return r.label.text
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
