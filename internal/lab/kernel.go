package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kernel is one of Debian's, known by the suite that has it. A version such as
// "6.1-arm64" is for that architecture, and others are for amd64.
type kernel struct{ version, suite string }

// kernels is the table to extend for a new one.
var kernels = []kernel{
	{"5.10", "bullseye"},
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
	{"7.2", "sid"},
	{"6.1-arm64", "bookworm"},
}

// arch is the architecture, by the name that Debian and Go have for it.
func (k kernel) arch() string {
	if _, arch, ok := strings.Cut(k.version, "-"); ok {
		return arch
	}
	return "amd64"
}

// fetch downloads and unpacks the kernel below dir, unless it is there whole, and
// returns the path of its image.
func (k kernel) fetch(dir, mirror string) (image string, err error) {
	dir = filepath.Join(dir, "kernel-"+k.version)
	image = filepath.Join(dir, "vmlinuz")
	// What is there may have been made with another list of modules.
	stamp, wanted := filepath.Join(dir, "modules.list"), strings.Join(modules, "\n")+"\n"
	if have, err := os.ReadFile(stamp); err == nil && string(have) == wanted {
		return image, nil
	}
	if err := os.RemoveAll(dir); err != nil { // of a fetch that broke off
		return "", err
	}
	a, err := openArchive(dir, k.suite, k.arch(), mirror)
	if err != nil {
		return "", err
	}
	meta := "linux-image-cloud-" + k.arch()
	depends, err := a.apt("apt-cache", "depends", meta)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`linux-image-([0-9]\S*)`).FindStringSubmatch(depends)
	if found == nil {
		return "", fmt.Errorf("%s has no %s", k.suite, meta)
	}
	if number, _, _ := strings.Cut(k.version, "-"); !strings.HasPrefix(found[1], number) {
		return "", fmt.Errorf("%s has Linux %s, not %s: change the table in internal/lab/kernel.go", k.suite, found[1], k.version)
	}
	// Linux 7 has image and modules in packages of their own.
	names := []string{"linux-binary-" + found[1], "linux-modules-" + found[1]}
	if _, err := a.apt("apt-cache", "show", names[0]); err != nil {
		names = []string{"linux-image-" + found[1]}
	}
	root := filepath.Join(dir, "root")
	if err := a.unpack(root, false, names...); err != nil {
		return "", err
	}
	if err := unpackModules(filepath.Join(dir, "modules"), root); err != nil {
		return "", err
	}
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"} {
		if all, _ := filepath.Glob(filepath.Join(root, pattern)); len(all) > 0 {
			if err := errors.Join(os.Rename(all[0], image), os.RemoveAll(root), a.close()); err != nil {
				return "", err
			}
			return image, os.WriteFile(stamp, []byte(wanted), 0o644)
		}
	}
	return "", fmt.Errorf("%v have no vmlinuz", names)
}

// modules are what the tests need and some kernels do not have built in, each
// after those that it needs.
var modules = []string{
	"virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
	"fuse", "overlay", "binfmt_misc", "bfq",
	"veth", "inet_diag", "tcp_diag", "udp_diag",
}

// unpackModules puts those modules that the kernel has as such into dir, where
// their names keep the order.
func unpackModules(dir, root string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, suffix, _ := strings.Cut(filepath.Base(path), ".")
		i := slices.Index(modules, name)
		if err != nil || i < 0 || !strings.HasPrefix(suffix, "ko") {
			return err
		}
		to := filepath.Join(dir, fmt.Sprintf("%02d-%s.ko", i, name))
		if suffix == "ko" {
			return copyFile(to, path)
		}
		data, err := output("", "xz", "-dc", path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(data), 0o644)
	})
}

// output runs a program and keeps what it said for the error.
func output(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
