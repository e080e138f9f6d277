package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// kernel is one of Debian's, known by the suite that has it.
type kernel struct{ version, suite string }

// kernels is the table to extend for a new one.
var kernels = []kernel{
	{"5.10", "bullseye"},
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
	{"7.2", "sid"},
}

// fetch downloads and unpacks the kernel below dir, unless it is there, and
// returns the path of its image. Apt has lists and caches of its own there;
// it verifies the archive's signature and the packages' checksums.
func (k kernel) fetch(dir, mirror string) (image string, err error) {
	dir = filepath.Join(dir, "kernel-"+k.version)
	image = filepath.Join(dir, "vmlinuz")
	if _, err := os.Stat(image); err == nil {
		return image, nil
	}
	if mirror == "" {
		if mirror, err = ownMirror(); err != nil {
			return "", err
		}
	}
	lists, err := filepath.Abs(filepath.Join(dir, "lists"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return "", err
	}
	sources := filepath.Join(filepath.Dir(lists), "sources.list")
	line := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", mirror, k.suite)
	if err := os.WriteFile(sources, []byte(line), 0o644); err != nil {
		return "", err
	}
	apt := func(program string, args ...string) (string, error) {
		options := []string{
			"-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/dev/null",
			"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
			"-o", "APT::Sandbox::User=root",
		}
		return output(dir, program, append(options, args...)...)
	}
	if _, err := apt("apt-get", "update", "-qq"); err != nil {
		return "", err
	}
	depends, err := apt("apt-cache", "depends", "linux-image-cloud-amd64")
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`linux-image-([0-9]\S*)`).FindStringSubmatch(depends)
	if found == nil {
		return "", fmt.Errorf("%s has no linux-image-cloud-amd64", k.suite)
	}
	if !strings.HasPrefix(found[1], k.version) {
		return "", fmt.Errorf("%s has Linux %s, not %s: change the table in internal/lab/kernel.go", k.suite, found[1], k.version)
	}
	// The image moved to a package of that name in Linux 7.
	packageName := "linux-binary-" + found[1]
	if _, err := apt("apt-cache", "show", packageName); err != nil {
		packageName = "linux-image-" + found[1]
	}
	if _, err := apt("apt-get", "download", "-qq", packageName); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "linux-*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("%s: want one package, have %v", dir, debs)
	}
	root := filepath.Join(dir, "root")
	if _, err := output("", "dpkg", "-x", debs[0], root); err != nil {
		return "", err
	}
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"} {
		if all, _ := filepath.Glob(filepath.Join(root, pattern)); len(all) > 0 {
			return image, os.Rename(all[0], image)
		}
	}
	return "", fmt.Errorf("%s has no vmlinuz", debs[0])
}

// ownMirror is where this machine's own packages come from.
func ownMirror() (string, error) {
	uris, err := output("", "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main")
	if err != nil {
		return "", err
	}
	for uri := range strings.Lines(uris) {
		if uri = strings.TrimSpace(uri); !strings.Contains(uri, "security") {
			return uri, nil
		}
	}
	return "", errors.New("apt knows no repository: give one with -mirror")
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
