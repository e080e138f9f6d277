package inspect

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/proc"
)

// Rights are what a process may do: proc_pid_status(5), capabilities(7). Users and
// groups are as seen from the reader's user namespace.
type Rights struct {
	// UIDs and GIDs are the real, effective, saved and file system ids.
	UIDs   [4]uint32 `json:"uids"`
	GIDs   [4]uint32 `json:"gids"`
	Groups []uint32  `json:"groups"`
	// InsideUID and InsideGID are the effective ids as the process itself sees them, nil
	// if they have no number there.
	InsideUID *uint32 `json:"inside_uid"`
	InsideGID *uint32 `json:"inside_gid"`
	// The capabilities by their names, without "cap_".
	Effective   []string `json:"effective"`
	Permitted   []string `json:"permitted"`
	Inheritable []string `json:"inheritable"`
	Bounding    []string `json:"bounding"`
	Ambient     []string `json:"ambient"`
	// AllCapabilities says that all that this kernel has are effective.
	AllCapabilities bool `json:"all_capabilities"`
	// CountIn is the user namespace in which the capabilities count, for what belongs to
	// it and to those below. OnHost says whether that is what the machine booted with.
	CountIn uint64 `json:"count_in"`
	OnHost  *bool  `json:"on_host"`
	// NoNewPrivs says that no execve(2) can gain rights.
	NoNewPrivs bool `json:"no_new_privs"`
	// Seccomp is "none", "strict" or "filter"; SeccompFilters is how many, nil if that is
	// not known (before Linux 5.9).
	Seccomp        string `json:"seccomp"`
	SeccompFilters *int   `json:"seccomp_filters"`
	// Label is what a security module calls it: "docker-default (enforce)",
	// "unconfined", an SELinux context. Empty if no module has labels.
	Label string `json:"label"`
}

// lastCapability is CAP_CHECKPOINT_RESTORE, for trees that do not tell.
const lastCapability = 40

func (l *look) rights() {
	text, err := l.files.read("status")
	if err != nil {
		l.missing("status", err)
		return
	}
	st, err := proc.ParseStatus(text)
	if err != nil {
		l.missing("status", err)
		return
	}
	r := &Rights{
		UIDs: st.UIDs, GIDs: st.GIDs, Groups: st.Groups,
		Effective: linux.CapabilityNames(st.Effective), Permitted: linux.CapabilityNames(st.Permitted),
		Inheritable: linux.CapabilityNames(st.Inheritable), Bounding: linux.CapabilityNames(st.Bounding), Ambient: linux.CapabilityNames(st.Ambient),
		CountIn: l.own[User], NoNewPrivs: st.NoNewPrivs, Seccomp: seccompName(st.Seccomp),
	}
	if r.Groups == nil {
		r.Groups = []uint32{}
	}
	last, err := strconv.Atoi(strings.TrimSpace(l.machine.readText("sys/kernel/cap_last_cap")))
	if err != nil || last < 0 || last > 62 {
		last = lastCapability
	}
	all := uint64(1)<<(last+1) - 1
	r.AllCapabilities = st.Effective&all == all
	if n := l.snapshot.Namespace(ID{User, l.own[User]}); n != nil {
		r.OnHost = n.Initial
	}
	if st.Filters >= 0 {
		r.SeccompFilters = &st.Filters
	}
	for _, id := range []struct {
		file    string
		outside uint32
		to      **uint32
	}{{"uid_map", st.UID, &r.InsideUID}, {"gid_map", st.GID, &r.InsideGID}} {
		if text, err := l.files.read(id.file); err == nil {
			if ids, err := ParseIDMap(text); err == nil {
				if inside, ok := ids.Inside(id.outside); ok {
					*id.to = &inside
				}
			}
		}
	}
	if r.Label, err = l.label(); err != nil {
		l.missing("label", err)
	}
	l.profile.Rights = r
}

func seccompName(mode int) string {
	switch mode {
	case 0:
		return "none"
	case 1:
		return "strict"
	case 2:
		return "filter"
	}
	return strconv.Itoa(mode)
}

// label is what AppArmor or SELinux calls the process: "" where no module has labels
// (EINVAL), or the kernel has no modules (ENOENT).
func (l *look) label() (string, error) {
	text, err := l.files.read("attr/apparmor/current") // Linux 5.1
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		text, err = l.files.read("attr/current")
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return "", nil
	}
	return strings.TrimRight(text, "\x00\n"), err
}

// missing notes that something about the process could not be read.
func (l *look) missing(what string, err error) { l.profile.miss(l.process.PID, what, err) }
