package keys

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// Setting is a control file's name, without a path, and a value for it.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (s Setting) String() string { return s.Key + "=" + s.Value }

// ParseSetting reads "KEY=VALUE". The value may hold anything but control
// characters, "=" included.
func ParseSetting(word string) (Setting, error) {
	key, value, ok := strings.Cut(word, "=")
	if !ok {
		return Setting{}, fmt.Errorf("setting %s: want KEY=VALUE: %w", words.Quote(word), invalid)
	}
	s := Setting{strings.TrimSpace(key), strings.TrimSpace(value)}
	if err := Check(s.Key); err != nil {
		return Setting{}, err
	}
	for _, r := range s.Value {
		if r < ' ' || r == 0x7f {
			return Setting{}, fmt.Errorf("setting %s: the value holds a control character: %w", words.Quote(word), invalid)
		}
	}
	return s, nil
}

// Check keeps a name from meaning a file elsewhere.
func Check(key string) error {
	for _, r := range key {
		if r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return fmt.Errorf("key %s: want a control file's name such as memory.max: %w", words.Quote(key), invalid)
		}
	}
	if !strings.Contains(key, ".") && key != "tasks" && key != "notify_on_release" && key != "release_agent" || strings.Contains(key, "..") || strings.HasPrefix(key, ".") {
		return fmt.Errorf("key %s: want a control file's name such as memory.max: %w", words.Quote(key), invalid)
	}
	return nil
}

// Controller is the controller that a control file belongs to, by the first
// word of its name; "cgroup" for those of v2's core.
func Controller(key string) string {
	prefix, _, _ := strings.Cut(key, ".")
	switch prefix {
	case "io":
		return "blkio"
	}
	return prefix
}

// refused are the files that are no limits: some would move or kill processes,
// release_agent is a program that the kernel runs as root.
var refused = map[string]string{
	"cgroup.procs":           "use attach to move processes",
	"cgroup.threads":         "use attach to move threads",
	"tasks":                  "use attach to move threads",
	"cgroup.kill":            "use kill",
	"cgroup.subtree_control": "use create to enable controllers",
	"cgroup.event_control":   "it takes descriptors of the writer",
	"release_agent":          "the kernel would run it as root of the host",
	"notify_on_release":      "it makes the kernel run release_agent as root of the host",
}

// NoLimit is the error of a file that cannot be set as a limit can, nil for others.
func NoLimit(key string) error {
	why, ok := refused[key]
	if !ok {
		return nil
	}
	return &refusal{"set " + key, "it is no limit; " + why, unix.EPERM, ErrNoLimit}
}
