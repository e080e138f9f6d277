package main

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"nsx/cgroupfs"
)

// groupWay is the end of an error of package cgroupfs: the command line that would
// help, or the flag of this command that does it all the same.
func groupWay(flags *pflag.FlagSet, err error) string {
	refused, ok := errors.AsType[*cgroupfs.Error](err)
	if !ok {
		return ""
	}
	if refused.Remedy != nil {
		return ": " + remedyWords(*refused.Remedy)
	}
	and := "; "
	if refused.Next != "" {
		and = ", or "
	}
	for _, w := range groupWays {
		if errors.Is(refused, w.reason) && flags.Lookup(w.flag) != nil {
			return and + w.text
		}
	}
	return ""
}

// groupWays are the flags that do what package cgroupfs has refused, by the reason.
var groupWays = []struct {
	reason error
	flag   string
	text   string
}{
	{cgroupfs.ErrOwned, "force", "force it (--force)"},
	{cgroupfs.ErrWouldKill, "force", "force it (--force)"},
	{cgroupfs.ErrKernelThread, "force", "force it (--force)"},
	{cgroupfs.ErrNotEmpty, "recursive", "remove them too with -r"},
	{cgroupfs.ErrThread, "threads", "name threads with --threads"},
}

// verbWords are the verbs of nsx cgroup that do what a method of a group does.
var verbWords = map[cgroupfs.Verb]string{cgroupfs.VerbStart: "run", cgroupfs.VerbRemove: "rm"}

// remedyWords is a call of package cgroupfs as a command line.
func remedyWords(r cgroupfs.Remedy) string {
	verb := string(r.Verb)
	if ours := verbWords[r.Verb]; ours != "" {
		verb = ours
	}
	line := []string{"nsx cgroup", verb}
	if r.Only != "" {
		line = append(line, "--only", r.Only)
	}
	if len(r.Controllers) > 0 {
		line = append(line, "--controllers", strings.Join(r.Controllers, ","))
	}
	line = append(line, r.Group)
	for _, s := range r.Settings {
		line = append(line, s.String())
	}
	if r.Forced {
		line = append(line, "--force")
	}
	return strings.Join(line, " ")
}
