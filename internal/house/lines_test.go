package house

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// maxLines is how long a file may be: what is longer is about two things.
const maxLines = 400

// long has the files that are longer, with the reason.
var long = map[string]string{
	"cmd/nsx/foreach.go":          "the flags, and the work on many targets",
	"inspect/procfs.go":           "the loops of the scan, with the table of its races",
	"inspect/target.go":           "making a Target, and its methods",
	"internal/testkit/fixture.go": "one process in all its stages",
	"internal/testkit/proc.go":    "processes, and what is asked of them",

	// Tests in the order of what they test.
	"cgroupfs/devices_test.go": "device rules on v1 and v2",
	"cgroupfs/group_test.go":   "a group from its making to its end",
	"cgroupfs/limits_test.go":  "all limits",
	"inspect/kernel_test.go":   "what only a live kernel shows",
	"inspect/target_test.go":   "all kinds of targets",
}

func TestFilesAreShort(t *testing.T) {
	seen := map[string]bool{}
	for _, files := range goFiles(t) {
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(data, []byte("\n"))
			switch reason := long[name]; {
			case lines > maxLines && reason == "":
				t.Errorf("%s has %d lines: the limit is %d", name, lines, maxLines)
			case lines > maxLines:
				seen[name] = true
			}
		}
	}
	for name := range long {
		if !seen[name] {
			t.Errorf("%s is an exception no more: take it from the list", name)
		}
	}
}
