package cgroupfs

import (
	"strings"

	"nsx/identity"
	"nsx/internal/words"
)

// Verb is what is to be done with a group.
type Verb string

// The verbs. VerbLeave is for a process that is taken out of the group.
const (
	VerbSet    Verb = "set"
	VerbCreate Verb = "create" // a group below it
	VerbStart  Verb = "start"  // a command in it
	VerbAttach Verb = "attach"
	VerbLeave  Verb = "leave"
	VerbFreeze Verb = "freeze"
	VerbThaw   Verb = "thaw"
	VerbKill   Verb = "kill"
	VerbRemove Verb = "remove"
)

// CommandFor is the owner's own command for that, or empty: it has none, or none
// that could be said in a line. It can be pasted into a shell: whoever may make a group
// may give it any name.
func (o Owner) CommandFor(v Verb) string {
	if o.Name == "" {
		return "" // his command takes the name of a container
	}
	name := words.Shell(o.short())
	if v == VerbAttach && identity.Runtime(o.Kind) != identity.Systemd {
		v = VerbStart // no runtime takes in what was started elsewhere
	}
	switch identity.Runtime(o.Kind) {
	case identity.Systemd:
		return o.systemdFor(v)
	case identity.Docker, identity.Podman, identity.Nerdctl:
		return ownWords(v, o.Kind+" ", map[Verb]string{
			VerbSet: "update --memory … --cpus … ", VerbStart: "exec ", VerbFreeze: "pause ", VerbThaw: "unpause ",
			VerbKill: "kill ", VerbRemove: "rm -f ", VerbLeave: "exec ",
		}, name)
	case identity.CRIO:
		return ownWords(v, "crictl ", map[Verb]string{
			VerbSet: "update --memory … ", VerbStart: "exec ", VerbKill: "stop --timeout 0 ", VerbRemove: "rm -f ",
		}, name)
	case identity.Containerd:
		if o.namespace == "k8s.io" && v != VerbFreeze && v != VerbThaw { // crictl has no word for these
			return Owner{Kind: string(identity.CRIO), Name: o.Name}.CommandFor(v)
		}
		return ownWords(v, "ctr -n "+o.namespace+" ", map[Verb]string{ // takes no part of an id
			VerbStart: "tasks exec --exec-id … ", VerbFreeze: "tasks pause ", VerbThaw: "tasks resume ",
			VerbKill: "tasks kill -s SIGKILL ", VerbRemove: "tasks delete --force ",
		}, words.Shell(o.Name))
	case identity.Kubernetes:
		return ownWords(v, "kubectl ", map[Verb]string{
			VerbSet: "set resources …", VerbKill: "delete pod …", VerbRemove: "delete pod …", VerbStart: "exec …",
		}, "")
	case identity.LXC:
		return ownWords(v, "lxc-", map[Verb]string{
			VerbSet: "cgroup -n " + name + " KEY VALUE", VerbStart: "attach -n " + name, VerbFreeze: "freeze -n " + name,
			VerbThaw: "unfreeze -n " + name, VerbKill: "stop -k -n " + name, VerbRemove: "stop -n " + name,
		}, "")
	case identity.Machined:
		return ownWords(v, "machinectl ", map[Verb]string{
			VerbStart: "shell ", VerbKill: "kill -s KILL ", VerbRemove: "terminate ",
		}, name)
	case identity.Libvirt:
		return ownWords(v, "virsh ", map[Verb]string{
			VerbSet: "memtune ", VerbFreeze: "suspend ", VerbThaw: "resume ", VerbKill: "destroy ", VerbRemove: "shutdown ",
		}, name)
	}
	return ""
}

// ownWords is a command, empty if there is none for the verb.
func ownWords(v Verb, program string, verbs map[Verb]string, name string) string {
	if verbs[v] == "" {
		return ""
	}
	return program + verbs[v] + name
}

// systemdFor is systemctl's and systemd-run's.
func (o Owner) systemdFor(v Verb) string {
	ctl, name := "systemctl "+o.manager(), words.Shell(o.Name)
	switch v {
	case VerbSet:
		return ctl + "set-property " + name + " MemoryMax=… CPUQuota=…"
	case VerbFreeze, VerbThaw:
		return ctl + string(v) + " " + name
	case VerbKill:
		return ctl + "kill --signal=KILL " + name
	case VerbRemove, VerbLeave:
		return ctl + "stop " + name
	}
	slice := ""
	if identity.IsSlice(o.Name) {
		slice = "--slice=" + name + " "
	}
	return "systemd-run " + o.manager() + "--scope " + slice + "-p Delegate=yes CMD"
}

// manager is the option of systemd's tools for a user's manager.
func (o Owner) manager() string {
	if o.user {
		return "--user "
	}
	return ""
}

// short is the name as people write it.
func (o Owner) short() string {
	return identity.ShortID(o.Name)
}

// Undoes says what the owner will do about it when the verb was forced, or what he
// does not know now; empty if there is nothing to say.
func (o Owner) Undoes(v Verb) string {
	own := o.CommandFor(v)
	if own != "" {
		own = "; " + own + " lasts"
	}
	switch identity.Runtime(o.Kind) {
	case "", "root", "self", "user":
		return ""
	case identity.Systemd:
		switch v {
		case VerbSet:
			return "systemd writes its own values of " + o.Name + " again at its next daemon-reload" + own
		case VerbCreate:
			return "systemd may take what was enabled in " + o.Path + " away at its next daemon-reload, and the limits with it" + own
		case VerbFreeze, VerbThaw:
			return "systemd knows nothing of it, and goes on as if " + o.Name + " were as before" + own
		case VerbKill:
			return "systemd starts " + o.Name + " again if its Restart= says so; systemctl " + o.manager() + "stop " + words.Shell(o.Name) + " lasts"
		case VerbRemove:
			return "systemd makes the group again when it starts " + o.Name
		case VerbLeave:
			return "systemd still takes the process for one of " + o.Name + ", and its limits hold no more for it"
		}
		return "systemd does not know of it, and ends it with " + o.Name
	}
	if o.Name == "" {
		return o.Kind + " knows nothing of it"
	}
	who := o.String()
	switch v {
	case VerbSet:
		return "the runtime of " + who + " knows nothing of it, and may write its own values again" + own
	case VerbFreeze, VerbThaw:
		return "the runtime of " + who + " knows nothing of it, and goes on as if it were as before" + own
	case VerbKill:
		return "the runtime of " + who + " starts it again if its restart policy says so"
	case VerbLeave:
		return "the limits of " + who + " hold no more for the process"
	case VerbRemove:
		return "the runtime of " + who + " makes the group again when it starts it"
	}
	return strings.TrimSpace("the runtime of " + who + " does not know of it, and ends it with the container")
}
