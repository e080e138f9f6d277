package inspect

import (
	"bytes"

	"nsx/internal/proc"
)

// parseLink reads the target of a namespace link, "net:[4026531833]". The
// name in the link of pid_for_children is pid's.
func parseLink(text []byte, t Type) (uint64, bool) {
	rest, ok := bytes.CutPrefix(text, []byte(t.String()))
	if !ok || len(rest) < 4 || rest[0] != ':' || rest[1] != '[' || rest[len(rest)-1] != ']' {
		return 0, false
	}
	inode, ok := proc.Decimal(string(rest[2 : len(rest)-1]))
	return inode, ok && inode != 0
}

// parseCmdline splits the NUL-terminated arguments of /proc/PID/cmdline. A
// process that overwrote them (setproctitle) may leave one string without the
// NUL, and trailing padding of NULs, which is dropped.
func parseCmdline(text []byte) []string {
	text = bytes.TrimRight(text, "\x00")
	args := []string{}
	if len(text) == 0 {
		return args
	}
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	return args
}
