package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// selinuxPackages have the tests that run where SELinux enforces Debian's policy, by
// default.
var selinuxPackages = []string{"internal/launcher", "enter"}

// labModule is what the tests of enter add to that policy: nsx_box_t is a target that
// may do all but read what is nsx_secret_t, and nsx_narrow_t the same, but it may not
// start anything as nsx_box_t. kernel_t is what everything else in the machine is.
const labModule = `(typeattributeset cil_gen_require domain)
(typeattributeset cil_gen_require file_type)
(roleattributeset cil_gen_require system_r)
(typeattributeset cil_gen_require kernel_t)
(type nsx_box_t)
(type nsx_narrow_t)
(type nsx_secret_t)
(roletype system_r nsx_box_t)
(roletype system_r nsx_narrow_t)
(typeattributeset domain (nsx_box_t nsx_narrow_t))
(typeattributeset file_type (nsx_secret_t))
(typeattribute nsx_tested)
(typeattributeset nsx_tested (nsx_box_t nsx_narrow_t))
(typeattribute nsx_rest)
(typeattributeset nsx_rest (and (all) (not (nsx_secret_t))))
(allow nsx_tested nsx_rest (process (not (transition dyntransition))))
(allow nsx_tested nsx_tested (process (not (transition dyntransition))))
(allow nsx_box_t nsx_box_t (process (transition)))
(allow kernel_t nsx_tested (process (all)))
`

// labClasses are those of which such a process may do anything but with a secret.
var labClasses = strings.Fields(`file dir lnk_file chr_file blk_file sock_file fifo_file filesystem fd
	unix_stream_socket unix_dgram_socket capability capability2 cap_userns process2 key anon_inode memprotect`)

// leftOutModules break the build of the whole policy, in the form in which Debian 12 has them.
var leftOutModules = map[string]bool{"spamassassin": true}

// fetchPolicy builds SELinux's policy out of the modules of this machine's own suite of
// Debian and the lab's, and returns the file's path. Kernels of other suites take it too.
func fetchPolicy(dir, mirror string) (string, error) {
	dir = filepath.Join(dir, "selinux")
	file, stamp, module := filepath.Join(dir, "policy"), filepath.Join(dir, "module.cil"), labModule
	for _, class := range labClasses {
		module += fmt.Sprintf("(allow nsx_tested nsx_rest (%s (all)))\n", class)
	}
	if have, err := os.ReadFile(stamp); err == nil && string(have) == module {
		return file, nil
	}
	if err := os.RemoveAll(dir); err != nil { // of a fetch that broke off, or with another module
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
	if err := a.unpack(root, true, "selinux-policy-default"); err != nil {
		return "", err
	}
	if err := compilePolicy(root, module); err != nil {
		return "", err
	}
	built, err := filepath.Glob(filepath.Join(root, "etc/selinux/default/policy/policy.*"))
	if err != nil || len(built) != 1 {
		return "", errors.Join(err, fmt.Errorf("semodule made the policies %q", built))
	}
	if err := errors.Join(os.Rename(built[0], file), a.close(), os.RemoveAll(root)); err != nil {
		return "", err
	}
	return file, os.WriteFile(stamp, []byte(module), 0o644)
}

// compilePolicy does what the package's script would do, in its root.
func compilePolicy(root, module string) error {
	names, err := os.ReadFile(filepath.Join(root, "usr/share/selinux/default/.modules"))
	if err != nil {
		return err
	}
	args := []string{root, "/usr/sbin/semodule", "-n", "-s", "default", "-X", "100"}
	for name := range strings.FieldsSeq(string(names)) {
		if !leftOutModules[name] {
			args = append(args, "-i", "/usr/share/selinux/default/"+name+".pp.bz2")
		}
	}
	for name, text := range map[string]string{"nsx_lab.cil": module, "etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=default\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	out, err := exec.Command("chroot", append(args, "-i", "/nsx_lab.cil")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("semodule: %w: %s", err, out[max(0, len(out)-1000):])
	}
	return nil
}
