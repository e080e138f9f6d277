package cgroupfs

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestParseMemberships(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []Membership
	}{
		{"empty", "", []Membership{}},
		{"v2", "0::/user.slice\n", []Membership{{0, []string{}, "/user.slice", false, false}}},
		{
			"hybrid", "9:name=systemd:/\n4:cpu,cpuacct:/a\n0::/\n",
			[]Membership{
				{9, []string{"name=systemd"}, "/", false, false},
				{4, []string{"cpu", "cpuacct"}, "/a", false, false},
				{0, []string{}, "/", false, false},
			},
		},
		{"colons, blanks and backslashes are the path's", "0::/a:b c\\040\n", []Membership{{0, []string{}, `/a:b c\040`, false, false}}},
		{"deleted", "0::/gone (deleted)\n", []Membership{{0, []string{}, "/gone", true, false}}},
		{"named like the mark", "0::/x (deleted) (deleted)\n", []Membership{{0, []string{}, "/x (deleted)", true, false}}},
		{"v1 has no mark", "3:pids:/x (deleted)\n", []Membership{{3, []string{"pids"}, "/x (deleted)", false, false}}},
		{"outside of the reader's cgroup namespace", "0::/../../x\n", []Membership{{0, []string{}, "/../../x", false, false}}},
		{"no last newline", "0::/x", []Membership{{0, []string{}, "/x", false, false}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseMemberships([]byte(tc.text))
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseMembershipsRefuses(t *testing.T) {
	for _, text := range []string{"x", "0:/x", "a::/x", "-1::/x", "0::x", "0::"} {
		if got, err := ParseMemberships([]byte(text)); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		} else if !strings.Contains(err.Error(), "/proc/PID/cgroup") {
			t.Errorf("%q: the error does not say what was read: %v", text, err)
		}
	}
}

func TestParseMembershipsOfSelf(t *testing.T) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseMemberships(text)
	if err != nil || len(got) == 0 {
		t.Errorf("got %+v, %v from\n%s", got, err, text)
	}
}

func FuzzParseMemberships(f *testing.F) {
	f.Add([]byte("9:name=systemd:/\n0::/a:b (deleted)\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseMemberships(text)
		if err != nil {
			return
		}
		for _, m := range list {
			if m.Path == "" && !m.Deleted || m.Hierarchy < 0 || strings.ContainsRune(m.Path, '\n') {
				t.Errorf("%q gave %+v", text, m)
			}
		}
	})
}
