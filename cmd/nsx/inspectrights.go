package main

import (
	"fmt"
	"strings"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// rightsFacts are capabilities and where they count, and what confines the process.
func rightsFacts(d *profileDoc) (facts []output.Fact) {
	r := d.Rights
	if r == nil {
		return nil
	}
	contained := d.Identity.Contained()
	style := output.Plain
	var text string
	switch n := len(r.Effective); {
	case n == 0:
		text = "no capabilities"
		if extra := len(r.Bounding); extra > 0 && !r.NoNewPrivs {
			text += "; a set-user-ID program can get " + words.Count(extra, "capability", "capabilities")
		}
	case r.AllCapabilities:
		text = fmt.Sprintf("all %d capabilities, ", n) + countWhere(r)
		if contained && r.OnHost != nil && *r.OnHost {
			style = output.Red
		}
	default:
		text = words.Count(n, "capability, ", "capabilities, ") + countWhere(r)
	}
	facts = append(facts, line(output.Text(text).With(style)))
	if len(r.Effective) > 0 && (!r.AllCapabilities || d.all) {
		facts = append(facts, lineOf("%s", strings.Join(r.Effective, " ")))
	}
	if len(r.Ambient) > 0 {
		facts = append(facts, lineOf("kept over execve: %s", strings.Join(r.Ambient, " ")))
	}
	style = output.Plain
	text = "seccomp " + r.Seccomp
	if r.SeccompFilters != nil && *r.SeccompFilters > 1 {
		text = words.Count(*r.SeccompFilters, "seccomp filter", "seccomp filters")
	}
	if r.NoNewPrivs {
		text += "; no_new_privs"
	} else {
		text += "; no_new_privs not set"
	}
	switch r.Label {
	case "":
		text += "; no label"
	default:
		text += "; label " + r.Label
	}
	if contained && r.Seccomp == "none" {
		style = output.Red
	}
	return append(facts, line(output.Text(text).With(style)))
}

// countWhere says in which user namespace capabilities count.
func countWhere(r *inspect.Rights) string {
	where := fmt.Sprintf("user:%d", r.CountIn)
	they, count := "they count", "count"
	if len(r.Effective) == 1 {
		they, count = "it counts", "counts"
	}
	switch {
	case r.CountIn == 0:
		return "in a user namespace that is not known"
	case r.OnHost == nil:
		return "which " + count + " in " + where
	case *r.OnHost:
		return "and " + they + " on the host"
	}
	return "which " + count + " in " + where + " and not on the host"
}
