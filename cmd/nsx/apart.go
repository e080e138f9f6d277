package main

import (
	"cmp"
	"slices"
	"strings"

	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
)

// isolating are the types by which containers are usually apart. A time namespace
// is rare.
var isolating = slices.DeleteFunc(slices.Clone(inspect.Types[:]), func(t inspect.Type) bool { return t == inspect.Time })

// mostlyApart are those of them that a container or pod has of its own nearly always:
// without one it sees, or can reach, what is the host's.
var mostlyApart = []inspect.Type{inspect.PID, inspect.Net, inspect.Mnt, inspect.IPC, inspect.UTS}

// apartCell shows in which types something is apart: nil is not known. A container or
// pod that shares what such ones do not says that instead. Filters see the types.
func apartCell(types []inspect.Type, id *identity.Identity) output.Cell {
	if types == nil {
		return output.Unknown()
	}
	if shared := sharedOf(types, id); len(shared) > 0 {
		data := cmp.Or(joinTypes(types, ","), output.None().String())
		return output.Text("SHARES " + joinTypes(shared, " ")).Meaning(data).With(output.Red)
	}
	if len(types) == 0 {
		return output.None()
	}
	return output.Text(apartWords(types)).Meaning(joinTypes(types, ","))
}

// sharedOf lists what a container or pod shares with the host though such ones usually
// do not.
func sharedOf(apart []inspect.Type, id *identity.Identity) (shared []inspect.Type) {
	if !id.Contained() {
		return nil
	}
	for _, t := range mostlyApart {
		if !slices.Contains(apart, t) {
			shared = append(shared, t)
		}
	}
	return shared
}

// apartWords is "all", "all but user", or a list.
func apartWords(types []inspect.Type) string {
	var apart, not []inspect.Type
	for _, t := range isolating {
		if slices.Contains(types, t) {
			apart = append(apart, t)
		} else {
			not = append(not, t)
		}
	}
	timed := slices.Contains(types, inspect.Time)
	text := ""
	switch {
	case len(apart) == 0 && timed:
		return inspect.Time.String()
	case len(not) == 0:
		text = "all"
	case len(not) <= 2:
		text = "all but " + joinTypes(not, " ")
	default:
		text = joinTypes(apart, " ")
	}
	if timed {
		text += " +" + inspect.Time.String()
	}
	return text
}

func joinTypes(types []inspect.Type, separator string) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, separator)
}
