package proc

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is what is read of /proc/PID/status (proc_pid_status(5)). Users and groups are as seen from the reader's user
// namespace.
type Status struct {
	PID      int    // of the process, whichever of its threads it is of
	PPID     int    // of its parent
	Tracer   int    // the thread that traces it, 0 if none does
	UID, GID uint32 // effective
	// UIDs and GIDs are the real, effective, saved and file system ids.
	UIDs, GIDs [4]uint32
	Groups     []uint32 // supplementary
	// NSPID is its PID in its own PID namespace.
	NSPID int
	// Inheritable, Permitted, Effective, Bounding and Ambient are its capability
	// sets (capabilities(7)); bit n is capability n.
	Inheritable, Permitted, Effective, Bounding, Ambient uint64
	// NoNewPrivs says that no execve of it can gain rights.
	NoNewPrivs bool
	// Seccomp is its mode: 0 none, 1 strict, 2 filters. Filters is how many it
	// has, -1 before Linux 5.9.
	Seccomp, Filters int
}

// ParseStatus reads lines like
//
//	Uid:	1000	1000	1000	1000
//	CapBnd:	000001ffffffffff
func ParseStatus(text string) (Status, error) {
	s := Status{Filters: -1}
	missing := map[string]bool{"Uid": true, "Gid": true, "CapBnd": true} // older kernels lack the others
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		number, isNumber := s.number(name)
		set, isSet := s.capabilities(name)
		var err error
		switch {
		case (name == "Uid" || name == "Gid") && len(fields) == 4:
			to := &s.UIDs
			if name == "Gid" {
				to = &s.GIDs
			}
			for i := range to {
				if to[i], err = parseID(fields[i]); err != nil {
					break
				}
			}
			s.UID, s.GID = s.UIDs[1], s.GIDs[1]
		case name == "Groups":
			s.Groups = make([]uint32, len(fields))
			for i := range fields {
				if s.Groups[i], err = parseID(fields[i]); err != nil {
					break
				}
			}
		case name == "NSpid" && len(fields) > 0: // Linux 4.1
			s.NSPID, err = strconv.Atoi(fields[len(fields)-1])
		case name == "NoNewPrivs" && len(fields) == 1: // Linux 4.10
			s.NoNewPrivs = fields[0] != "0"
		case isNumber && len(fields) == 1:
			*number, err = strconv.Atoi(fields[0])
		case isSet && len(fields) == 1:
			*set, err = strconv.ParseUint(fields[0], 16, 64)
		default:
			continue
		}
		if err != nil {
			return Status{}, fmt.Errorf("status: %q: %w", strings.TrimSpace(line), err)
		}
		delete(missing, name)
	}
	if len(missing) > 0 {
		return Status{}, fmt.Errorf("status: no Uid, Gid or CapBnd line in %d bytes", len(text))
	}
	return s, nil
}

// number is the field for a line with one decimal number.
func (s *Status) number(name string) (*int, bool) {
	switch name {
	case "Tgid":
		return &s.PID, true
	case "PPid":
		return &s.PPID, true
	case "TracerPid":
		return &s.Tracer, true
	case "Seccomp":
		return &s.Seccomp, true
	case "Seccomp_filters": // Linux 5.9
		return &s.Filters, true
	}
	return nil, false
}

// capabilities is the field for a line with a set of capabilities.
func (s *Status) capabilities(name string) (*uint64, bool) {
	switch name {
	case "CapInh":
		return &s.Inheritable, true
	case "CapPrm":
		return &s.Permitted, true
	case "CapEff":
		return &s.Effective, true
	case "CapBnd":
		return &s.Bounding, true
	case "CapAmb": // Linux 4.3
		return &s.Ambient, true
	}
	return nil, false
}

func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// ParseWho reads the effective user and the PIDs in each PID namespace.
func ParseWho(text string) (uid *uint32, pids []int) {
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		switch {
		case name == "Uid" && len(fields) == 4:
			if n, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
				id := uint32(n)
				uid = &id
			}
		case name == "NSpid" && len(fields) <= maxPIDDepth:
			pids = nil
			for _, field := range fields {
				n, err := strconv.Atoi(field)
				if err != nil {
					return uid, nil
				}
				pids = append(pids, n)
			}
		}
	}
	return uid, pids
}

// maxPIDDepth is how many PID namespaces a process has a number in at most:
// MAX_PID_NS_LEVEL of include/linux/pid_namespace.h below the first.
const maxPIDDepth = 33

// StatusField is what a line of status, or of fdinfo, goes on with after its name
// and the colon.
func StatusField(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		if key, rest, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}
