// Package audit finds what isolates containers less than people think: namespaces that
// they share with the host, rights that reach it, filters that they do not have, and
// what of the host's is mounted inside.
//
// A finding is no proof that something is wrong: a monitoring agent shares the host's
// PID namespace on purpose. It says what whoever breaks into the container gets.
package audit

import (
	"context"
	"errors"
	"slices"
	"strings"

	"nsx/identity"
	"nsx/inspect"
)

// Severity orders findings.
type Severity string

// The severities. High is the host itself, or nearly so; Medium makes the way there
// shorter.
const (
	High   Severity = "high"
	Medium Severity = "medium"
)

// Rule is what is looked for.
type Rule struct {
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	// Why it matters, in a sentence, and what to do about it.
	Why  string `json:"why"`
	Next string `json:"next"`

	// look tells what was found, or "".
	look func(*subject) string
}

// Finding is a rule that a container, or another process, meets.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	// PID is the oldest process that meets it, Name whose that is, as a target.
	PID      int                `json:"pid"`
	Name     string             `json:"name"`
	Identity *identity.Identity `json:"identity"`
}

// Report is what Examine found.
type Report struct {
	Findings []Finding `json:"findings"`
	// Examined counts the sets of processes that were looked at, Clean those of them
	// without a finding.
	Examined int `json:"examined"`
	Clean    int `json:"clean"`
	// Unreadable is what could not be read of them.
	Unreadable []inspect.Unreadable `json:"unreadable"`
	Complete   bool                 `json:"complete"`
}

// subject is what a rule looks at.
type subject struct {
	set     *inspect.Set
	profile *inspect.Profile
}

// Rules lists them, the worst first.
func Rules() []Rule { return slices.Clone(rules) }

// Options says what to examine.
type Options struct {
	// Targets are words as inspect.ParseRef reads them; without one, all containers,
	// pods and machines.
	Targets []string
	// All examines units and other processes with namespaces of their own as well.
	All bool
}

// Examine looks at the process that leads each set of processes which share all their
// namespaces: what it may do, the others of the set may, or less. A word that names
// nothing is inspect.ErrGone. What has gone meanwhile is left out.
func Examine(ctx context.Context, m inspect.Machine, o Options) (Report, error) {
	report := Report{Findings: []Finding{}, Unreadable: []inspect.Unreadable{}}
	s, match, err := m.Find(ctx, o.Targets, inspect.Options{Sets: true, Names: true, Cgroups: true, Details: inspect.LeaderDetails})
	if err != nil {
		return report, err
	}
	report.Unreadable = append(report.Unreadable, s.Unreadable...)
	report.Complete = s.Complete
	for i := range s.Sets {
		set := &s.Sets[i]
		if !match.HasSet(set) || match.All && !o.All && !contained(set) || match.All && o.All && len(set.Apart) == 0 {
			continue
		}
		pid := set.Leader.PID
		if p := s.Process(pid); p != nil && p.KernelThread {
			continue
		}
		if !match.All {
			pid = set.PIDs[slices.IndexFunc(set.PIDs, match.HasPID)]
		}
		profile, err := m.Confinement(ctx, s, pid)
		if errors.Is(err, inspect.ErrGone) {
			continue
		}
		if err != nil {
			return report, err
		}
		report.Examined++
		report.Unreadable = append(report.Unreadable, profile.Unreadable...)
		report.Complete = report.Complete && profile.Complete && profile.Rights != nil && set.Apart != nil
		found := examine(&subject{set, profile})
		if len(found) == 0 {
			report.Clean++
		}
		report.Findings = append(report.Findings, found...)
	}
	sortFindings(report.Findings)
	return report, ctx.Err()
}

// contained says that people expect a set to be held.
func contained(set *inspect.Set) bool {
	return set.Identity.Contained() || set.Identity != nil && set.Identity.Kind == identity.Machine
}

func examine(s *subject) (findings []Finding) {
	name := ""
	if id := s.set.Identity; id != nil {
		name = id.Target()
	}
	for _, rule := range rules {
		if what := rule.look(s); what != "" {
			findings = append(findings, Finding{rule.Name, rule.Severity, what, s.profile.Process.PID, name, s.set.Identity})
		}
	}
	return findings
}

// sortFindings puts who has the worst first, and keeps what is of one together.
func sortFindings(list []Finding) {
	worst := map[int]int{}
	for _, f := range list {
		if f.Severity == High {
			worst[f.PID]++
		}
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		if a.PID == b.PID {
			return 0
		}
		if worst[a.PID] != worst[b.PID] {
			return worst[b.PID] - worst[a.PID]
		}
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.PID - b.PID
	})
}
