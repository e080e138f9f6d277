package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are what tests and scripts run, and a person in the lab's shell.
// They are this machine's own: a smaller set of tools such as busybox differs in
// just those that the tests compare nsx with.
var programs = strings.Fields(`
	sh bash cat chmod chown cmp cp cut dd df diff dirname echo env expr false head hostname id ln ls mkdir mkfifo mknod
	mktemp mv nice od printf pwd readlink rm rmdir seq sleep sort stat stty sync tail tee test timeout
	touch tr true tty uname uniq wc yes
	awk find grep sed
	findmnt ipcmk ipcs kill lsns mount mountpoint nsenter prlimit script setpriv setsid umount unshare
	free pgrep pkill ps sysctl
	ip newgidmap newuidmap`)

// copyPrograms puts the programs and the libraries that they load into the tree.
func copyPrograms(dir string) error {
	var missing []string
	libraries := map[string]bool{}
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			missing = append(missing, name)
			continue
		}
		if err := copyFile(filepath.Join(dir, "usr/bin", name), path); err != nil {
			return err
		}
		// ldd fails for what is no ELF file or static, which then needs none.
		list, _ := exec.Command("ldd", path).Output()
		for _, m := range libraryPath.FindAllStringSubmatch(string(list), -1) {
			libraries[m[1]] = true
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the machines get this one's programs, and it lacks %s: apt-get install bash diffutils findutils hostname iproute2 procps uidmap util-linux", strings.Join(missing, " "))
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
