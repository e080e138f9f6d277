package inspect

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is what entering a process needs to know of its /proc/PID/status:
// proc_pid_status(5). Users and groups are as seen from the reader's user
// namespace.
type Status struct {
	PID      int    // of the process, whichever of its threads it is of
	UID, GID uint32 // effective
	// NSPID is its PID in its own PID namespace.
	NSPID int
	// Bounding is its capability bounding set; bit n is capability n.
	Bounding uint64
	// NoNewPrivs says that no execve of it can gain rights.
	NoNewPrivs bool
	// Seccomp is its mode: 0 none, 1 strict, 2 filters.
	Seccomp int
}

// Status reads the target's status, which must be a process. procfs has no
// field for no_new_privs, and reads by path and not what the target pins.
func (t *Target) Status() (Status, error) {
	text, err := t.ReadFile("status")
	if err != nil {
		return Status{}, err
	}
	return parseStatus(string(text))
}

// parseStatus reads lines like
//
//	Uid:	1000	1000	1000	1000
//	CapBnd:	000001ffffffffff
func parseStatus(text string) (Status, error) {
	var s Status
	missing := map[string]bool{"Uid": true, "Gid": true, "CapBnd": true} // older kernels lack the others
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		var err error
		var n uint64
		switch {
		case (name == "Uid" || name == "Gid") && len(fields) == 4:
			n, err = strconv.ParseUint(fields[1], 10, 32)
			if name == "Uid" {
				s.UID = uint32(n)
			} else {
				s.GID = uint32(n)
			}
		case name == "Tgid" && len(fields) == 1:
			s.PID, err = strconv.Atoi(fields[0])
		case name == "NSpid" && len(fields) > 0: // Linux 4.1
			s.NSPID, err = strconv.Atoi(fields[len(fields)-1])
		case name == "CapBnd" && len(fields) == 1:
			s.Bounding, err = strconv.ParseUint(fields[0], 16, 64)
		case name == "NoNewPrivs" && len(fields) == 1: // Linux 4.10
			s.NoNewPrivs = fields[0] != "0"
			continue
		case name == "Seccomp" && len(fields) == 1:
			s.Seccomp, err = strconv.Atoi(fields[0])
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
