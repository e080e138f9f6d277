package inspect

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nsx/internal/testkit"
)

// TestFilesOfProcess: mounts of a process, by findmnt(8) and as they were made.
func TestFilesOfProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "mnt")
	findmnt := testkit.RequireProgram(t, "findmnt")
	f := testkit.Start(t, testkit.Config{New: []string{"user", "mnt"}, Mode: testkit.BindHolder, Apart: []string{"uts"}})
	p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	files := p.Files
	if files == nil || files.Root == nil || !files.Compared || files.SharedWithHost != nil && *files.SharedWithHost {
		t.Fatalf("%+v, %+v", files, p.Unreadable)
	}
	lines := strings.Split(strings.TrimSpace(testkit.Run(t, patience, findmnt, "--task", strconv.Itoa(f.PID), "-rn", "-o", "TARGET,FSTYPE,MAJ:MIN,PROPAGATION")), "\n")
	if len(lines) != files.NMounts {
		t.Errorf("%d mounts, findmnt has %d", files.NMounts, len(lines))
	}
	if len(files.Mounts) == 0 {
		t.Errorf("the bind mount is one that the host has not: %+v", files)
	}
	for _, m := range files.Mounts {
		if propagation, _, _ := strings.Cut(m.Propagation, ":"); !slices.ContainsFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, fmt.Sprintf("%s %s %s ", m.Mountpoint, m.FSType, m.Device)) && strings.Contains(line, propagation)
		}) {
			t.Errorf("findmnt does not know %+v:\n%s", m, strings.Join(lines, "\n"))
		}
	}
	at := f.HeldPath["uts"]
	if !slices.ContainsFunc(files.Mounts, func(m Mount) bool { return m.Mountpoint == at && m.FSType == "nsfs" && m.Propagation == "private" }) {
		t.Errorf("no %s: %+v", at, files.Mounts)
	}
}

// TestFilesOfHost: of a process of the host's there is nothing to say.
func TestFilesOfHost(t *testing.T) {
	testkit.RequireRoot(t)
	f := testkit.Start(t, testkit.Config{})
	p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	if p.Files.SharedWithHost == nil || !*p.Files.SharedWithHost {
		testkit.Require(t, false, "needs to be in the mount namespace of the boot")
	}
	if len(p.Files.Mounts) != 0 || len(p.Files.Missing) != 0 || p.Files.RootDirectory != "/" {
		t.Errorf("%+v", p.Files)
	}
}

// TestFilesOfChroot: the root directory, and no mount there.
func TestFilesOfChroot(t *testing.T) {
	testkit.RequireRoot(t)
	dir := t.TempDir()
	f := testkit.Start(t, testkit.Config{Mode: testkit.Chrooted, Dir: dir})
	p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	if p.Files.RootDirectory != dir || p.Files.Root != nil {
		t.Errorf("%+v", p.Files)
	}
}

// TestFilesOfThousands: 8,192 mounts of a process that may be hostile, made of 13.
func TestFilesOfThousands(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "mnt")
	unshare := testkit.RequireProgram(t, "unshare")
	cmd := exec.Command(unshare, "-Urm", "sh", "-c", `
		mount -t tmpfs x "$1" && cd "$1" && i=0
		while [ $i -lt 13 ]; do mkdir $i && mount --rbind . $i || exit 1; i=$((i+1)); done
		echo ready; read x`, "sh", t.TempDir())
	in, _ := startTalking(t, cmd)
	defer func() { in.Close(); _ = cmd.Wait() }()
	start := time.Now()
	p := profileOf(t, Machine{}, strconv.Itoa(cmd.Process.Pid))
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if p.Files.NMounts < 1<<13 || len(p.Files.Mounts) < 1<<13 {
		t.Errorf("%d mounts, %d differ", p.Files.NMounts, len(p.Files.Mounts))
	}
}

// TestFilesCompared: where the host has what a container has, without a comparison of
// each with each.
func TestFilesCompared(t *testing.T) {
	host := "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n" +
		"2 1 0:5 / /proc rw - proc proc rw\n" +
		"3 1 8:2 / /srv rw - ext4 /dev/sdb1 rw\n" +
		"4 1 8:3 /sub /data rw - xfs /dev/sdc1 rw\n"
	container := `1 0 0:40 / / rw - overlay overlay rw,lowerdir=/l/B\134:b:/l/A,upperdir=/u\054p/diff,workdir=/u\054p/work` + "\n" +
		"2 1 0:41 / /proc rw - proc proc rw\n" +
		"3 1 8:2 /site /usr/share/nginx/html ro master:7 - ext4 /dev/sdb1 rw\n" +
		"4 1 8:3 /sub/x\\040y /x rw shared:9 master:3 - xfs /dev/sdc1 rw\n" +
		"5 1 8:3 /other /y rw - xfs /dev/sdc1 rw\n"
	unit := "1 0 8:1 / / ro - ext4 /dev/sda1 rw\n" + "2 1 0:5 / /proc rw - proc proc rw\n" + "3 1 8:2 / /srv rw - ext4 /dev/sdb1 rw\n"
	m := mountedMachine(t, host, container, unit)
	files := profileOf(t, m, "10").Files
	if want := (&Layers{Lower: []string{"/l/B:b", "/l/A"}, Upper: "/u,p/diff", Work: "/u,p/work"}); !reflect.DeepEqual(files.Layers, want) {
		t.Errorf("%+v", files.Layers)
	}
	paths := map[string]string{}
	for _, mount := range files.Mounts {
		paths[mount.Mountpoint] = mount.HostPath + " " + mount.Propagation
	}
	if want := map[string]string{"/": " private", "/proc": " private", "/usr/share/nginx/html": "/srv/site slave:7", "/x": "/data/x y shared:9,slave:3", "/y": " private"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("%v", paths)
	}
	if len(files.Missing) != 0 {
		t.Errorf("with a root of its own nothing is missing: %v", files.Missing)
	}
	files = profileOf(t, m, "11").Files
	if len(files.Mounts) != 1 || files.Mounts[0].Mountpoint != "/" || !slices.Equal(files.Missing, []string{"/data"}) {
		t.Errorf("%+v", files)
	}
}

// TestFilesOfHostileTable: 100,000 mounts of one device, which is all that
// fs.mount-max allows, and lines that no kernel writes.
func TestFilesOfHostileTable(t *testing.T) {
	var huge, host strings.Builder
	host.WriteString("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
	for i := range 100_000 {
		fmt.Fprintf(&huge, "%d 1 8:1 /a/b/c/d/e/%d /m/%d rw - ext4 /dev/sda1 rw\n", i+2, i, i)
		fmt.Fprintf(&host, "%d 1 8:1 /z/%d /n/%d rw - ext4 /dev/sda1 rw\n", i+2, i, i)
	}
	m := mountedMachine(t, host.String(), huge.String(), "nonsense\n")
	start := time.Now()
	p := profileOf(t, m, "10")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if p.Files.NMounts != 100_000 || len(p.Files.Mounts) != 100_000 || p.Files.Mounts[7].HostPath != "/a/b/c/d/e/7" {
		t.Errorf("%d, %+v", p.Files.NMounts, p.Files.Mounts[7])
	}
	p = profileOf(t, m, "11")
	if p.Complete || !slices.ContainsFunc(p.Unreadable, func(u Unreadable) bool { return u.What == "mounts" && u.PID == 11 }) {
		t.Errorf("%+v", p.Unreadable)
	}
}

// mountedMachine has a host and two processes in mount namespaces of their own.
func mountedMachine(t *testing.T, host, first, second string) Machine {
	t.Helper()
	proc := testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1, Mountinfo: host},
		testkit.FakeProcess{PID: 2, Comm: "kthreadd", Cmdline: []string{}, Flags: 0x00200000},
		testkit.FakeProcess{PID: 10, PPID: 1, Mountinfo: first, NS: map[string]uint64{"mnt": 4026540001}},
		testkit.FakeProcess{PID: 11, PPID: 1, Mountinfo: second, NS: map[string]uint64{"mnt": 4026540002}},
	)
	m, err := Open(filepath.Dir(proc))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
