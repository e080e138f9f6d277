package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// packages have the tests that run in the lab by default, in four minutes a cell.
// Any other can be asked for.
var packages = []string{"cgroupfs", "inspect", "enter", "internal/attacks", "internal/launcher", "cmd/nsx"}

// foreignPackages are those on other processors than this machine's: there the
// helper that makes the system calls differs, and little else.
var foreignPackages = []string{"internal/launcher", "enter"}

// patterns choose the tests of a package where all would take too long: of the
// command those whose answers depend on the kernel, of the attacks those on what
// cgroups hold, which differs with the layout.
var patterns = map[string]string{
	"internal/attacks": "TestDevice|TestGroupsInEveryHierarchy|TestFrozenTarget|TestFlickeringFreezer",
	"cmd/nsx":          "TestScripts/(cgroup-|run-|enter-(cgroup|caps|parent|rootless|sys|types)|ls-types|ps)",
}

// leftOut are the tests that compare nsx with itself or with others, repeat what
// others do once, or ask the kernel nothing. They take a third of the time.
// One needs a larger machine.
var leftOut = map[string]string{
	"cmd/nsx":           "TestScripts/(cgroup-(translate|completion)|run-(usage|dirs|kept|propagation)|enter-types)",
	"inspect":           "TestWorkersAgree|TestAgreesWithLsns|TestScanCancelledInTheMiddle|TestThirtyThousand",
	"enter":             "TestManyEntries",
	"internal/launcher": "TestMany|TestManyAtOnce|TestClosedDescriptor0",
}

// skipped is the pattern of the tests that are left out.
func skipped(pkg, arch string) string {
	if arch != "amd64" && pkg == "enter" {
		return leftOut[pkg] + "|TestAppArmor" // no parser is fetched
	}
	return leftOut[pkg]
}

// buildTree makes the root file system in dir: this machine's programs for the
// tests' shell commands, AppArmor's parser, and the tests.
func buildTree(dir, parser string, packages []string) error {
	if err := makeRoot(dir, map[string]string{"bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "bin", "lib": "usr/lib", "lib64": "usr/lib64"}); err != nil {
		return err
	}
	if err := copyPrograms(dir, parser); err != nil {
		return err
	}
	return buildTests(dir, "amd64", packages)
}

// usrMerge is the links of Debian's root file system.
var usrMerge = map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}

// makeRoot makes what a root file system has before its programs come.
func makeRoot(dir string, links map[string]string) error {
	for _, d := range []string{"etc", "proc", "sys", "dev", "run", "root", "tmp", "mnt", "var", "usr/bin", "usr/share", "usr/lib", "usr/lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "usr/sbin"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"group":  "root:x:0:\nnogroup:x:65534:\n",
		"subuid": "",
		"subgid": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// buildTests adds our init, and a directory for each package with its test binary
// and its testdata.
func buildTests(dir, arch string, packages []string) error {
	if err := goTool(arch, "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "init"), "./internal/lab/init"); err != nil {
		return err
	}
	for _, p := range packages {
		if p == "internal/attacks" || p == "internal/systemd" {
			if err := goTool(arch, "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "usr/bin/nsx"), "./cmd/nsx"); err != nil {
				return err
			}
		}
		to := filepath.Join(dir, "t", p)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := goTool(arch, "test", "-c", "-tags=systemd", "-ldflags=-s -w", "-o", filepath.Join(to, "test"), "./"+p); err != nil {
			return err
		}
		for name, pattern := range map[string]string{"run": patterns[p], "skip": skipped(p, arch)} {
			if err := os.WriteFile(filepath.Join(to, name), []byte(pattern), 0o644); err != nil {
				return err
			}
		}
		if data := filepath.Join(p, "testdata"); isDir(data) {
			if err := os.CopyFS(filepath.Join(to, "testdata"), os.DirFS(data)); err != nil {
				return err
			}
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// goTool runs go for a static binary.
func goTool(arch string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// appendCpio adds the tree to an initramfs, in the "newc" format of
// Documentation/driver-api/early-userspace/buffer-format.rst. It is not
// compressed: under emulation, unpacking takes longer than loading.
func appendCpio(to, dir string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	inode := 0
	entry := func(name string, mode uint32, data []byte) {
		inode++
		// Padded with zeros to four bytes after the header with the name, and
		// after the data.
		fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
		pad := func(n int) { _, _ = w.Write(make([]byte, (4-n%4)%4)) }
		pad(110 + len(name) + 1)
		_, _ = w.Write(data)
		pad(len(data))
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			entry(name, 0o040755, nil)
			return nil
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			entry(name, 0o120777, []byte(to))
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := 0o100000 | uint32(info.Mode().Perm())
		if info.Mode()&fs.ModeSetuid != 0 {
			mode |= 0o4000
		}
		entry(name, mode, data)
		return nil
	})
	if err != nil {
		return err
	}
	entry("TRAILER!!!", 0, nil)
	if err := w.Flush(); err != nil { // which tells of every failed write before
		return err
	}
	return f.Close()
}
