// Package doctor tells what of namespaces and cgroups can work on a machine, and what
// stands in the way: its kernel and how that is set, the layout of its cgroups, our
// own rights, and whether we are in a container ourselves.
//
// Each check reads a few files and changes nothing. [Examine] runs some of them:
//
//	findings, err := doctor.Examine(ctx, "/", "userns", "cgroup")
//
// Checks are about the machine below a root directory; those about this process and its
// kernel say so where that root is another machine's.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nsx/internal/proc"
	"nsx/internal/reason"
)

// State is how a check ended.
type State string

// The states.
const (
	OK      State = "ok"      // it works
	Note    State = "note"    // it works, with a limit
	No      State = "no"      // it does not work
	Unknown State = "unknown" // what tells could not be read
)

// Finding is what a check found.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	// What is there, in a few words.
	What string `json:"what"`
	// Cause is what that means, and Next what can be done; empty where nothing is to
	// be said.
	Cause string `json:"cause,omitempty"`
	Next  string `json:"next,omitempty"`
}

// ErrUsage is the reason of an error about a check that there is not.
var ErrUsage = reason.ErrUsage

// patient is whom the checks look at.
type patient struct {
	root proc.Root
	live bool // it is this machine
}

// check is one of them. about says what it looks at, for help.
type check struct {
	name, about string
	// own is about this process or the kernel that it runs on.
	own  bool
	look func(context.Context, *patient) Finding
}

// checks are all, in the order in which people ask.
var checks = []check{
	{"kernel", "what its release has of namespaces and cgroups", false, kernelRelease},
	{"cgroup", "which versions of cgroups are mounted", false, cgroupLayout},
	{"controllers", "which resources can be limited", false, controllers},
	{"delegation", "which controllers users' own managers have", false, delegation},
	{"userns", "whether user namespaces may be made", false, userNamespaces},
	{"apparmor-userns", "whether AppArmor forbids ordinary users to make them", false, apparmorUserns},
	{"lsm", "which security modules watch", false, securityModules},
	{"ptrace", "whether commands inside can be looked at before they run", false, ptraceScope},
	{"hidepid", "whether /proc shows the processes of others", false, hidepid},
	{"bpf", "whether device rules of v2 can be read", true, devicePrograms},
	{"listns", "whether the kernel lists its namespaces", true, listns},
	{"rights", "what we may do", true, rights},
	{"container", "whether we are in one", true, ownContainer},
	{"engines", "which runtimes and managers there are", false, engines},
}

// Names lists the checks.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// About says what a check looks at, in one line; empty if there is no such check.
func About(name string) string {
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		return ""
	}
	return checks[i].about
}

// Examine runs the checks that are named, or all, in their own order. A name that
// there is not is ErrUsage; it fails besides only with ctx.
func Examine(ctx context.Context, root string, names ...string) ([]Finding, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("%w: no check %q: there are %s", ErrUsage, name, strings.Join(Names(), ", "))
		}
	}
	p := &patient{root: proc.Root(root)}
	p.live = p.root.Own()
	findings := []Finding{}
	for _, c := range checks {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := Finding{State: Unknown, What: "about this machine's own kernel and processes alone"}
		if p.live || !c.own {
			f = c.look(ctx, p)
		}
		f.Check = c.name
		findings = append(findings, f)
	}
	return findings, nil
}

// number reads a sysctl or the like.
func (p *patient) number(file string) (n int64, ok bool) {
	text, ok := p.text(file)
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscan(text, &n)
	return n, err == nil
}

// text reads a small file.
func (p *patient) text(file string) (string, bool) {
	data, err := p.root.ReadFile(file, maxText)
	return strings.TrimSpace(string(data)), err == nil
}

// The bounds of a file of one line, and of a directory.
const (
	maxText  = 4096
	maxNames = 10000
)

func fine(what string, args ...any) Finding {
	return Finding{State: OK, What: fmt.Sprintf(what, args...)}
}

func (f Finding) because(cause, next string) Finding {
	f.Cause, f.Next = cause, next
	return f
}

func note(what string, args ...any) Finding {
	return Finding{State: Note, What: fmt.Sprintf(what, args...)}
}

func no(what string, args ...any) Finding {
	return Finding{State: No, What: fmt.Sprintf(what, args...)}
}

func unknown(what string) Finding { return Finding{State: Unknown, What: what} }
