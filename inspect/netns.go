package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// netnsDirs is where ip-netns(8) keeps network namespaces, below the root.
var netnsDirs = []string{"run/netns", "var/run/netns"}

// openNetns opens with O_PATH the file below root that ip-netns(8) made for a
// name; it is -1 if there is none.
func openNetns(root proc.Root, name string) (int, string) {
	for _, dir := range netnsDirs {
		path := filepath.Join(dir, name)
		if at, err := root.Open(path, unix.O_PATH); err == nil {
			return at, root.Join(path)
		}
	}
	return -1, ""
}

// netnsName is the name by which ip-netns(8) knows a bind mount; root is the
// scanned root.
func netnsName(root proc.Root, mountpoint string) (string, bool) {
	rel, err := filepath.Rel(root.Join(), mountpoint)
	if err != nil {
		return "", false
	}
	for _, dir := range netnsDirs {
		if name, ok := strings.CutPrefix(rel, dir+"/"); ok && !strings.Contains(name, "/") {
			return name, true
		}
	}
	return "", false
}

// NameOfNetns is the name by which ip-netns(8) knows an open namespace, "" if it has
// none.
func NameOfNetns(ns *os.File) (string, error) {
	want, err := ns.Stat()
	if err != nil {
		return "", err
	}
	for _, dir := range netnsDirs {
		files, err := os.ReadDir("/" + dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		for _, f := range files {
			have, err := os.Stat(filepath.Join("/", dir, f.Name()))
			if err == nil && os.SameFile(have, want) {
				return f.Name(), nil
			}
		}
	}
	return "", nil
}
