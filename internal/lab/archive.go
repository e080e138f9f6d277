package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// archive is Debian's packages of one suite, as apt sees them on a machine that
// has none installed. Apt has lists and caches of its own for it in dir; it
// verifies the archive's signature and the packages' checksums.
type archive struct{ suite, arch, dir string }

// openArchive fetches the lists of the suite's packages for an architecture.
func openArchive(dir, suite, arch, mirror string) (a archive, err error) {
	if mirror == "" {
		if mirror, err = ownMirror(); err != nil {
			return a, err
		}
	}
	if a.dir, err = filepath.Abs(dir); err != nil {
		return a, err
	}
	a.suite, a.arch = suite, arch
	for _, d := range []string{"lists/partial", "debs/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return a, err
		}
	}
	sources := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", mirror, suite)
	for name, text := range map[string]string{"sources.list": sources, "debs/status": ""} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return a, err
		}
	}
	_, err = a.apt("apt-get", "update", "-qq")
	return a, err
}

// apt runs one of apt's programs on the archive.
func (a archive) apt(program string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::Etc::sourcelist=" + a.dir + "/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::Lists=" + a.dir + "/lists", "-o", "Dir::State::status=" + a.dir + "/debs/status",
		"-o", "Dir::Cache::archives=" + a.dir + "/debs", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=" + a.arch, "-o", "APT::Architectures::=" + a.arch,
	}
	return output(a.dir+"/debs", program, append(options, args...)...)
}

// unpack downloads the packages, with all that they depend on if asked, and
// unpacks them below root, which may exist. Their scripts are not run.
func (a archive) unpack(root string, depends bool, names ...string) error {
	words := []string{"download", "-qq"}
	if depends {
		words = []string{"install", "-qq", "--yes", "--download-only", "--no-install-recommends"}
	}
	if _, err := a.apt("apt-get", append(words, names...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, "debs/*.deb"))
	if err := errors.Join(err, os.MkdirAll(root, 0o755)); err != nil {
		return err
	}
	if len(debs) < len(names) {
		return fmt.Errorf("%s: want the packages %v, have %v", a.dir, names, debs)
	}
	for _, deb := range debs {
		// Older packages bring /bin and /lib, which may be links below root.
		unpack := exec.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`, "sh", deb, root)
		if out, err := unpack.CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", deb, err, out)
		}
	}
	return nil
}

// close removes what apt kept, and leaves sources.list to tell where it was from.
func (a archive) close() error {
	return errors.Join(os.RemoveAll(a.dir+"/lists"), os.RemoveAll(a.dir+"/debs"))
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
