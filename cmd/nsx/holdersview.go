package main

import (
	"fmt"
	"strconv"
	"strings"

	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// holdingRow is what holds, with the command that lets go.
type holdingRow struct {
	*inspect.Holding
	LetGo string `json:"let_go"`
	note  string // in its place where it has no room
}

var holdersView = &output.View[holdingRow]{
	Columns: []output.Column[holdingRow]{
		{Name: "kind", Help: "process, thread, fd, socket, mount, child, cwd, open_file …", Value: func(r *holdingRow) output.Cell {
			return output.Text(string(r.Kind)).With(output.Cyan)
		}},
		{Name: "who", Help: "whose it is, as a target, or the process", Cut: output.CutMiddle, Value: whoCell},
		{Name: "where", Help: "the path, the descriptor, the processes", Cut: output.CutMiddle, Value: func(r *holdingRow) output.Cell {
			if place := holdingPlace(r.Holding); place != "" {
				return output.Text(place)
			}
			return output.None()
		}},
		{Name: "propagation", Help: "of a mount: private, shared:1, slave:1 …", Value: func(r *holdingRow) output.Cell {
			if r.Propagation == "" {
				return output.None()
			}
			return output.Text(r.Propagation)
		}},
		{Name: "pid", Help: "the process, or one in the mount namespace", Right: true, Value: func(r *holdingRow) output.Cell {
			if r.PID == 0 {
				return output.None()
			}
			return output.Int(int64(r.PID))
		}},
		{Name: "let-go-by", Help: "the command that lets go of it", Value: func(r *holdingRow) output.Cell {
			switch {
			case r.note != "":
				return output.Text(r.note)
			case r.LetGo == "":
				return output.None()
			}
			return output.Text(r.LetGo)
		}},
	},
	Default: []string{"kind", "who", "where", "let-go-by"},
	Wide:    []string{"kind", "who", "pid", "where", "propagation", "let-go-by"},
	Name: func(r *holdingRow) string {
		switch {
		case r.Child != nil:
			return r.Child.String()
		case r.PID != 0:
			return strconv.Itoa(r.PID)
		}
		return r.Path
	},
}

// whoCell is whose a holding is.
func whoCell(r *holdingRow) output.Cell {
	switch {
	case len(r.Others) > 0 && r.Identity == nil:
		return output.Text(words.Count(len(r.Others)+1, "mount namespace", "mount namespaces"))
	case r.Identity != nil && (r.Kind != inspect.HoldsByMount || !r.HostMnt):
		return output.Text(r.Identity.Target())
	case r.HostMnt:
		return hostCell()
	case r.Readers:
		return output.Text("here")
	case r.PID == 0:
		return output.None()
	}
	return output.Text(fmt.Sprintf("%d %s", r.PID, r.Comm))
}

// holdingPlace is where something holds. The process is part of it where the row is
// about something with a name.
func holdingPlace(h *inspect.Holding) string {
	process := ""
	if h.Identity != nil {
		process = fmt.Sprintf("%d %s", h.PID, h.Comm)
		if n := len(h.PIDs); n > 1 {
			process = fmt.Sprintf("%s and %d more", process, n-1)
		}
	}
	join := func(text string) string {
		if process == "" {
			return text
		}
		return process + ", " + text
	}
	switch h.Kind {
	case inspect.HoldsByThread:
		return join(fmt.Sprintf("thread %d", h.TID))
	case inspect.HoldsByForChildren:
		return join("for its children")
	case inspect.HoldsByFD:
		return join(fmt.Sprintf("descriptor %d", *h.FD))
	case inspect.HoldsBySocket:
		return join(fmt.Sprintf("socket %d", *h.FD))
	case inspect.HoldsByChild:
		return h.Child.String()
	case inspect.HoldsByMount, inspect.HoldsByMountBelow, inspect.HoldsByMountOver:
		return h.Path
	case inspect.HoldsByLoop:
		return h.Path + " of " + strings.Join(h.Paths, ", ")
	case inspect.HoldsByFile:
		return join(words.Count(h.Count, "file", "files") + ", " + strings.Join(h.Paths[:min(len(h.Paths), 1)], ""))
	case inspect.HoldsByRoot, inspect.HoldsByCwd, inspect.HoldsByProgram:
		return join(strings.Join(h.Paths, ""))
	}
	return process
}

// letGo is the command that lets go of a holding, empty if there is none.
func letGo(all *inspect.Holdings, h *inspect.Holding) string {
	if all.Initial != nil && *all.Initial {
		return ""
	}
	switch h.Kind {
	case inspect.HoldsByMount, inspect.HoldsByMountBelow, inspect.HoldsByMountOver:
		return unmount(all, h)
	case inspect.HoldsByChild:
		return "nsx holders " + h.Child.String()
	case inspect.HoldsByLoop:
		return "losetup -d " + h.Path
	}
	if command := endCommand(h.Identity); command != "" {
		return command
	}
	if h.PID <= 1 {
		return ""
	}
	return "kill " + strconv.Itoa(h.PID)
}

// unmount is the command that undoes a mount, where it is.
func unmount(all *inspect.Holdings, h *inspect.Holding) string {
	path := quoteArg(h.Path)
	if h.Readers {
		if name, ok := strings.CutPrefix(h.Path, "/run/netns/"); ok && all.Namespace != nil && !strings.Contains(name, "/") {
			return "ip netns del " + quoteArg(name)
		}
		return "umount " + path
	}
	if h.PID == 0 {
		return ""
	}
	contained := h.Identity != nil && !h.Identity.OfSystemd()
	if !strings.HasPrefix(h.Propagation, "slave") || !contained {
		if command := endCommand(h.Identity); command != "" && !h.HostMnt {
			return command
		}
	}
	privileged := ""
	if contained { // its own rights seldom include CAP_SYS_ADMIN
		privileged = "--privileged "
	}
	return fmt.Sprintf("nsx enter %s--mnt %d -- umount %s", privileged, h.PID, path)
}

// endCommand ends what has a name, by the words of who manages it: empty if that is
// nobody whom root could ask. A name that somebody else may have made up is none.
func endCommand(id *identity.Identity) string {
	if id == nil || !id.Trusted() {
		return ""
	}
	name := id.Name
	if name == "" && identity.IsID(id.ID) {
		name = identity.ShortID(id.ID)
	}
	if name == "" || strings.HasPrefix(name, "-") {
		return ""
	}
	name = quoteArg(name)
	switch id.Kind {
	case identity.Unit:
		if name == "init.scope" || strings.HasSuffix(name, ".slice") {
			return ""
		}
		if strings.HasSuffix(name, ".scope") {
			return "systemctl stop " + name
		}
		return "systemctl restart " + name
	case identity.Session:
		return "loginctl terminate-session " + name
	case identity.Machine:
		return "machinectl terminate " + name
	case identity.Pod:
		return ""
	}
	switch id.Runtime {
	case identity.Docker, identity.Podman, identity.Nerdctl:
		return string(id.Runtime) + " stop " + name
	case identity.LXC:
		return "lxc-stop -n " + name
	}
	return ""
}

// quoteArg is a word as a shell takes it.
func quoteArg(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@%+=,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
