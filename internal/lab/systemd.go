package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemdPackages, with what they depend on, are the root file system there, of
// the kernel's own suite of Debian.
var systemdPackages = strings.Fields("systemd-sysv bash coreutils dash dbus dbus-user-session findutils grep iproute2 libseccomp2 mawk mount procps sed util-linux")

// withSystemd is the machines with systemd as process 1. It gave v1 up with 256,
// and with it hybrid.
func withSystemd(cells []cell) ([]cell, error) {
	cells = slices.DeleteFunc(slices.Clone(cells), func(c cell) bool {
		return c.foreign() || c.layout != "v2" && !older(c.kernel.version, "6.12")
	})
	if len(cells) == 0 {
		return nil, errors.New("systemd has nothing but v2 in the suites with Linux 6.12 and later")
	}
	for i := range cells {
		cells[i].systemd = true
	}
	return cells, nil
}

// systemdWords are for its command line: kernel-command-line(7) of systemd.
func (c cell) systemdWords() string {
	words := " nsx.systemd=1 systemd.unit=nsx-lab.service systemd.show_status=0 systemd.mask=ldconfig.service"
	switch c.layout {
	case "v2":
		return words + " systemd.unified_cgroup_hierarchy=1"
	case "hybrid":
		return words + " systemd.unified_cgroup_hierarchy=0"
	}
	return words + " systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
}

// fetchSystemd makes the archive with the root file system, unless it is there.
func fetchSystemd(dir string, k kernel, mirror string) (string, error) {
	return fetchRoot(filepath.Join(dir, "systemd-"+k.suite), k, mirror, systemdPackages, map[string]string{
		"etc/machine-id": "6e7378206e7378206e7378206e737820\n", // none is a first boot, which asks
		"etc/fstab":      "",
		"etc/.updated":   "", "var/.updated": "",
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/nonexistent:/bin/false\n" +
			"alice:x:1000:1000:alice:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
		"etc/group": "root:x:0:\nmessagebus:x:100:\nalice:x:1000:\nnogroup:x:65534:\n",
		// logind starts a user manager for her at boot. PAM, which would tell that
		// where its directory is, is not set up.
		"var/lib/systemd/linger/alice":                "",
		"etc/systemd/system/user@.service.d/nsx.conf": "[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n",
	})
}

// systemdUnit runs the tests, as the lab's init does elsewhere.
const systemdUnit = `[Unit]
Description=Tests of nsx
Wants=basic.target systemd-logind.service
After=basic.target systemd-logind.service
[Service]
Type=oneshot
ExecStart=/init
TimeoutStartSec=infinity
`

// buildSystemdTests makes what comes on top of the root file system.
func buildSystemdTests(dir string) error {
	if err := buildTests(dir, "amd64", []string{"internal/systemd"}); err != nil {
		return err
	}
	unit := filepath.Join(dir, "etc/systemd/system/nsx-lab.service")
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		return err
	}
	return os.WriteFile(unit, []byte(systemdUnit), 0o644)
}
