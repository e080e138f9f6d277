package enter

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/launcher"
)

// maxSearched is in how many directories a command is looked for. The helper has to be
// told of each beforehand, which takes fifteen kilobytes and an execve(2), and a PATH may
// be the target's to write.
const maxSearched = 1000

// searchPath is where a command is looked for, each directory once.
func searchPath(env []string) []string {
	path := launcher.DefaultPath
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok && value != "" {
			path = value
		}
	}
	var dirs []string
	seen := map[string]bool{}
	for dir := range strings.SplitSeq(path, ":") {
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// checkSearch refuses a command that would have to be looked for in too many.
func (c *Cmd) checkSearch() error {
	if strings.Contains(c.Path, "/") {
		return nil
	}
	n := len(searchPath(c.environ()))
	if n <= maxSearched {
		return nil
	}
	var reason error
	if c.Env == nil && c.plan.environ != nil {
		reason = ErrEnvironment
	}
	return refused(reason, "looking for "+c.Path, unix.E2BIG, fmt.Sprintf("PATH has %d directories, more than %d: give the command's own path", n, maxSearched))
}
