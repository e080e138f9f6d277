package inspect

import (
	"strconv"
	"strings"

	"nsx/internal/proc"
)

// userNames reads the passwd(5) file below root. It is read here and not by
// os/user because the root may be another host's; a name that only a
// directory service knows is not found, and its uid is shown instead.
func userNames(root proc.Root) map[uint32]string {
	names := map[uint32]string{}
	text, err := root.ReadFile("etc/passwd", proc.MaxTable)
	if err != nil {
		return names
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(line, ":", 4)
		if len(fields) < 4 {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		if _, known := names[uint32(uid)]; err == nil && !known {
			names[uint32(uid)] = fields[0] // the first entry names the uid
		}
	}
	return names
}
