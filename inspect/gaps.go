package inspect

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Gaps says in sentences for people what the scan could not see: nothing, if
// the snapshot is complete.
func (s *Snapshot) Gaps() []string {
	var lines []string
	unread := map[string][]Unreadable{}
	order := []string{}
	for _, u := range s.Unreadable {
		if unread[u.What] == nil {
			order = append(order, u.What)
		}
		unread[u.What] = append(unread[u.What], u)
	}
	for _, what := range order {
		lines = append(lines, s.gap(what, unread[what]))
	}
	if s.Hidden != "" {
		lines = append(lines, fmt.Sprintf("/proc is mounted with %s and hides the processes of others: run as root", s.Hidden))
	}
	return lines
}

// gap is the sentence about one kind of thing.
func (s *Snapshot) gap(what string, list []Unreadable) string {
	subject := "processes"
	if what != "namespaces" {
		subject += "' " + what
	}
	errs, asRoot := map[string]bool{}, os.Geteuid() != 0
	for _, u := range list {
		errs[u.Error] = true
		asRoot = asRoot && (u.Error == "EACCES" || u.Error == "EPERM") // root would be no cure for EMFILE
	}
	names := make([]string, 0, len(errs))
	for name := range errs {
		names = append(names, name)
	}
	slices.Sort(names)
	total := len(s.Processes)
	for _, u := range list {
		if s.Process(u.PID) == nil {
			total++ // not even its name could be read
		}
	}
	text := fmt.Sprintf("%d of %d %s unreadable", len(list), total, subject)
	if asRoot {
		return text + ": run as root"
	}
	pids := make([]string, 0, 4)
	for _, u := range list {
		if len(pids) == 3 {
			pids = append(pids, "…")
			break
		}
		pids = append(pids, fmt.Sprint(u.PID))
	}
	return fmt.Sprintf("%s (%s): PID %s", text, strings.Join(names, ", "), strings.Join(pids, ", "))
}
