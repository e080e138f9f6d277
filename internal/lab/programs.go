package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// programs are what tests and scripts run, and a person in the lab's shell.
// They are this machine's own: a smaller set of tools such as busybox differs in
// just those that the tests compare nsx with.
var programs = strings.Fields(`
	sh bash cat chmod chown chroot cmp cp cut dd df diff dirname echo env expr false head hostname id ln ls mkdir mkfifo mknod
	mktemp mv nice od printf pwd readlink rm rmdir seq sleep sort stat stty sync tail tee test timeout
	touch tr true tty uname uniq wc yes
	awk find grep sed
	capsh findmnt fuser ipcmk ipcs kill lsns mount mountpoint nsenter prlimit script setpriv setsid umount unshare
	free pgrep pkill ps sysctl
	ip newgidmap newuidmap ss`)

// copyPrograms puts the programs, some more given by their paths, and the libraries
// that they load into the tree.
func copyPrograms(dir string, more ...string) error {
	var missing []string
	libraries := map[string]bool{}
	for _, name := range slices.Concat(programs, more) {
		path, err := exec.LookPath(name)
		if err != nil {
			missing = append(missing, name)
			continue
		}
		if err := copyFile(filepath.Join(dir, "usr/bin", filepath.Base(name)), path); err != nil {
			return err
		}
		// ldd fails for what is no ELF file or static, which then needs none.
		list, _ := exec.Command("ldd", path).Output()
		for _, m := range libraryPath.FindAllStringSubmatch(string(list), -1) {
			libraries[m[1]] = true
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the machines get this one's programs, and it lacks %s: apt-get install bash diffutils findutils hostname iproute2 libcap2-bin procps psmisc uidmap util-linux", strings.Join(missing, " "))
	}
	for path := range libraries {
		if err := copyFile(filepath.Join(dir, path), path); err != nil {
			return err
		}
	}
	return nil
}

// As in "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)"; the loader
// stands alone.
var libraryPath = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// fetchParser puts apparmor_parser into dir, from this machine's own suite, and
// returns its path. It is not installed, because its package would start AppArmor.
func fetchParser(dir, mirror string) (string, error) {
	dir = filepath.Join(dir, "apparmor")
	file := filepath.Join(dir, "apparmor_parser")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.RemoveAll(dir); err != nil { // of a fetch that broke off
		return "", err
	}
	suite, err := ownSuite()
	if err != nil {
		return "", err
	}
	a, err := openArchive(dir, suite, "amd64", mirror)
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "root")
	if err := makeRoot(root, usrMerge); err != nil {
		return "", err
	}
	if err := a.unpack(root, false, "apparmor"); err != nil {
		return "", err
	}
	return file, errors.Join(a.close(), os.Rename(filepath.Join(root, "usr/sbin/apparmor_parser"), file), os.RemoveAll(root))
}

// ownSuite is this machine's suite of Debian.
func ownSuite() (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	suite := regexp.MustCompile(`(?m)^VERSION_CODENAME=(\w+)`).FindSubmatch(release)
	if suite == nil {
		return "", errors.New("/etc/os-release has no VERSION_CODENAME")
	}
	return string(suite[1]), nil
}

// copyFile copies a file with its mode, setuid included, through links on both
// sides.
func copyFile(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode())
}

// appendFile adds a file to another.
func appendFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
