package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Tree writes files below a temporary directory and returns that. A key is a
// path, its value the content; a key may also end in
//
//	/                     an empty directory: "1/fd/"
//	-> TARGET             a symbolic link, as text: "1/ns/net -> net:[4026531840]"
//	(fifo)                a FIFO nobody writes to: opening it for reading blocks,
//	                      like a /proc file of a process stuck in the kernel
//	(unreadable)          a file or, with /, directory of mode 0, which stops
//	                      everybody but root: ask RequireUser first
//
// with a space before -> and (. Contents of links, FIFOs and directories are
// ignored. Links named like those of /proc are read with readlink only, and
// dangle.
func Tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	writeTree(t, root, files)
	return root
}

// TreeTxtar is Tree for a txtar archive, where a line "-- KEY --" begins each
// file; what stands before the first one is a comment.
func TreeTxtar(t testing.TB, archive string) string {
	t.Helper()
	files := make(map[string]string)
	key := ""
	for line := range strings.Lines(archive) {
		marker := strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(marker, "-- "); ok && strings.HasSuffix(name, " --") {
			key = strings.TrimSpace(strings.TrimSuffix(name, " --"))
			files[key] = ""
		} else if key != "" {
			files[key] += line
		}
	}
	return Tree(t, files)
}

func writeTree(t testing.TB, root string, files map[string]string) {
	t.Helper()
	// Sorted, so that every run makes the same mistakes.
	var keys []string
	for key := range files {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var closed []string
	for _, key := range keys {
		path, err := writeEntry(root, key, files[key])
		if err != nil {
			t.Fatalf("testkit: tree: %q: %v", key, err)
		}
		if strings.HasSuffix(key, " (unreadable)") {
			closed = append(closed, path)
		}
	}
	// Last, since there may be files to write inside.
	for _, path := range closed {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatalf("testkit: tree: %v", err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) }) // so that it can be removed
	}
}

func writeEntry(root, key, content string) (path string, err error) {
	key = strings.TrimSuffix(key, " (unreadable)")
	name, target, isLink := strings.Cut(key, " -> ")
	name, isFIFO := strings.CutSuffix(name, " (fifo)")
	if !filepath.IsLocal(strings.TrimSuffix(name, "/")) {
		return "", fmt.Errorf("%q is no relative path inside the tree", name)
	}
	path = filepath.Join(root, name)
	if strings.HasSuffix(name, "/") {
		return path, os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	switch {
	case isLink:
		return path, os.Symlink(target, path)
	case isFIFO:
		return path, unix.Mkfifo(path, 0o644)
	}
	return path, os.WriteFile(path, []byte(content), 0o644)
}
