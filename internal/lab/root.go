package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// programPackages have the programs that the tests of foreignPackages run, with
// what they depend on.
var programPackages = strings.Fields("bash coreutils dash diffutils findutils grep hostname iproute2 mount procps sed uidmap util-linux")

// fetchPrograms makes the root file system of a machine on which this one's
// programs do not run, unless it is there.
func fetchPrograms(dir string, k kernel, mirror string) (string, error) {
	return fetchRoot(filepath.Join(dir, "programs-"+k.arch()), k, mirror, programPackages, nil)
}

// fetchRoot makes an archive with a root file system of the kernel's own suite of
// Debian, unless it is there with these packages. None of their scripts are run:
// what they would do and the machine needs is done by the files.
func fetchRoot(dir string, k kernel, mirror string, packages []string, files map[string]string) (string, error) {
	archive, stamp := filepath.Join(dir, "root.cpio"), filepath.Join(dir, "packages.list")
	wanted := strings.Join(packages, "\n") + "\n"
	if have, err := os.ReadFile(stamp); err == nil && string(have) == wanted {
		return archive, nil
	}
	root := filepath.Join(dir, "root")
	if err := os.RemoveAll(dir); err != nil { // of a fetch that broke off
		return "", err
	}
	a, err := openArchive(dir, k.suite, k.arch(), mirror)
	if err != nil {
		return "", err
	}
	if err := makeRoot(root, usrMerge); err != nil {
		return "", err
	}
	if err := a.unpack(root, true, packages...); err != nil {
		return "", err
	}
	if err := trim(root); err != nil {
		return "", err
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			return "", err
		}
	}
	if err := appendCpio(archive, root); err != nil {
		return "", err
	}
	if err := errors.Join(os.RemoveAll(root), a.close()); err != nil {
		return "", err
	}
	return archive, os.WriteFile(stamp, []byte(wanted), 0o644)
}

// trim removes what is large and read by nobody: of usr/share all but what the
// D-Bus daemon reads.
func trim(root string) error {
	for _, pattern := range []string{"usr/share/[^d]*", "usr/share/d[^b]*", "var/cache", "usr/lib/*/gconv", "usr/lib/*/perl-base"} {
		all, err := filepath.Glob(filepath.Join(root, pattern))
		for _, name := range all {
			err = errors.Join(err, os.RemoveAll(name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
