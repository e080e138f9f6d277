package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/inspect"
	"nsx/internal/testkit"
	"nsx/output"
)

const statusOfWeb = "Name:\tnginx\nTgid:\t21\nPid:\t21\nPPid:\t20\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nNSpid:\t21\t1\n" +
	"CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n"

// capturedPages is a machine with a container and one who would break the screen.
func capturedPages(t *testing.T) inspect.Machine {
	t.Helper()
	id := "1111" + strings.Repeat("a", 60)
	apart := map[string]uint64{"cgroup": 4026540101, "ipc": 4026540102, "mnt": 4026540103, "net": 4026540104, "pid": 4026540105, "uts": 4026540106}
	hostile := "\x1b[2J\u202e日本"
	var mounts strings.Builder
	mounts.WriteString("1 0 0:40 / / rw - overlay overlay rw,lowerdir=/l/B:/l/A,upperdir=/var/lib/containers/storage/overlay/6f0d2c91ab34/diff\n")
	for i := range 30 {
		fmt.Fprintf(&mounts, "%d 1 8:1 /srv/%s%d /m/%s%d ro - ext4 /dev/sda1 rw\n", i+2, hostile, i, strings.Repeat("x", 200), i)
	}
	proc := testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1, Comm: "systemd", Mountinfo: "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"},
		testkit.FakeProcess{PID: 2, Comm: "kthreadd", Cmdline: []string{}, Flags: 0x00200000},
		testkit.FakeProcess{PID: 20, PPID: 1, Comm: "conmon", Cmdline: []string{"/usr/bin/conmon", "--api-version", "1", "-c", id, "-n", "web"}},
		testkit.FakeProcess{
			PID: 21, PPID: 20, Comm: "nginx", Cmdline: []string{"nginx:", "master", "process"}, Cgroup: "0::/machine.slice/libpod-" + id + ".scope\n", NS: apart,
			Mountinfo: "1 0 0:40 / / rw - overlay overlay rw,lowerdir=/l/B:/l/A,upperdir=/var/lib/containers/storage/overlay/6f0d2c91ab34/diff\n" +
				"2 1 8:1 /srv/site /usr/share/nginx/html ro - ext4 /dev/sda1 rw\n" + "3 1 0:41 / /proc rw - proc proc rw\n" + "4 1 0:42 / /dev rw - tmpfs tmpfs rw\n",
			Extra: map[string]string{
				"status": statusOfWeb, "uid_map": "         0          0 4294967295\n", "gid_map": "         0          0 4294967295\n",
				"attr/apparmor/current": "containers-default (enforce)\n", "root -> /": "",
			},
		},
		testkit.FakeProcess{PID: 30, PPID: 1, Comm: hostile, Cmdline: []string{hostile, strings.Repeat("y", 3000), "\r\n"}, Mountinfo: mounts.String(), NS: map[string]uint64{"mnt": 4026540203}},
	)
	m, err := inspect.Open(filepath.Dir(proc))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pageOf(t *testing.T, m inspect.Machine, word string, o output.Options) []string {
	t.Helper()
	profile, err := m.Profile(t.Context(), word)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := profilePage.Print(&buf, &profileDoc{Schema: "nsx/inspect/1", Profile: profile}, o); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
}

func TestInspectPage(t *testing.T) {
	want := `podman:web  running 27 hours

container    1111aaaaaaaa of podman
process      21 nginx: master process
user         0
known by     its supervisor's command line

namespaces   its own     cgroup:4026540101  ipc:4026540102  mnt:4026540103
                         net:4026540104  pid:4026540105  uts:4026540106
             the host's  time  user
PIDs         1 in pid:4026540105, 21 in ?

rights       11 capabilities, and they count on the host
             chown dac_override fowner fsetid kill setgid setuid setpcap
             net_bind_service sys_chroot setfcap
             seccomp filter; no_new_privs not set; label containers-default
             (enforce)

files        root        overlay, 2 layers
             written to  /var/lib/containers/storage/overlay/6f0d2c91ab34/diff
             layers      /l/B and 1 below it
             mount       /srv/site on /usr/share/nginx/html, ro, private
             more        2: proc tmpfs`
	got := pageOf(t, capturedPages(t), "podman:web", output.Options{Width: 80})
	for i, line := range got { // why there is no cgroup file system is a long story
		if strings.HasPrefix(line, "not seen") {
			got = got[:i-1]
			break
		}
	}
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("the page is\n%s\nwant\n%s", text, want)
	}
}

// TestInspectPageFits: no line is wider than the terminal, and nothing of what is
// hostile reaches it.
func TestInspectPageFits(t *testing.T) {
	m := capturedPages(t)
	sequences := regexp.MustCompile(`\x1b\[\d+m`)
	for _, width := range []int{40, 60, 80, 200} {
		for _, word := range []string{"podman:web", "30", "mnt:[4026540203]"} {
			lines := pageOf(t, m, word, output.Options{Width: width})
			for _, line := range lines {
				// Two of the runes are two cells wide.
				if cells := len([]rune(line)) + strings.Count(line, "日") + strings.Count(line, "本"); cells > width {
					t.Errorf("%s, width %d: %q", word, width, line)
				}
				if strings.ContainsAny(line, "\x1b\u202e\r") {
					t.Errorf("%s, width %d is raw: %q", word, width, line)
				}
			}
			colored := strings.Join(pageOf(t, m, word, output.Options{Width: width, Color: true}), "\n")
			if sequences.ReplaceAllString(colored, "") != strings.Join(lines, "\n") {
				t.Errorf("%s, width %d differs in colour", word, width)
			}
		}
	}
}

// TestInspectPageUnknown: what could not be compared, read or asked is no statement.
func TestInspectPageUnknown(t *testing.T) {
	inner := map[string]uint64{"mnt": 4026540203}
	proc := testkit.ProcTree(t, // of a container: no kthreadd is in it
		testkit.FakeProcess{PID: 1, Comm: "sh", NS: inner, Mountinfo: "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"},
		testkit.FakeProcess{PID: 5, PPID: 1, Comm: "sleep", NS: inner, Mountinfo: "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"},
	)
	m, err := inspect.Open(filepath.Dir(proc))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"1", "5"} {
		page := strings.Join(pageOf(t, m, word, output.Options{Width: 80}), "\n")
		if strings.Contains(page, "the host's\n") || strings.Contains(page, "as the host's") || !regexp.MustCompile(`(?m)^ +host +\? `).MatchString(page) {
			t.Errorf("%s in a container:\n%s", word, page)
		}
	}
	unread := inspect.UserLevel{Inode: 4026532000}
	empty := inspect.UserLevel{Inode: 4026532000, UIDMap: inspect.IDMap{}, GIDMap: inspect.IDMap{}}
	half := inspect.UserLevel{Inode: 4026532000, UIDMap: inspect.IDMap{}}
	for want, level := range map[string]inspect.UserLevel{"maps ?": unread, "ids nothing": empty, "uids nothing; gids ?": half} {
		d := &profileDoc{Profile: &inspect.Profile{UserNamespaces: []inspect.UserLevel{level}}}
		facts := userLevelFacts(d)
		if got := facts[0][len(facts[0])-1].String(); got != want {
			t.Errorf("%+v is %q, want %q", level, got, want)
		}
	}
	d := &profileDoc{Profile: &inspect.Profile{
		Process:  &inspect.Process{Cgroups: []cgroupfs.Membership{{Path: "/x", Deleted: true}}},
		Groups:   []inspect.GroupUse{{Path: "/x"}},
		Identity: &identity.Identity{Kind: identity.Container, OwnerUID: 65534, Owner: "nobody", By: identity.ByFile},
	}}
	if got := groupFacts(d)[0][0].String(); got != "/x (deleted)" {
		t.Errorf("a removed group is %q", got)
	}
	if got := knownByFacts(d)[0][0].String(); got != "a file of its runtime's, which user nobody could have made up" {
		t.Errorf("%q", got)
	}
}
