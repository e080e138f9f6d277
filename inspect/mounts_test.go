package inspect

import (
	"slices"
	"testing"

	"nsx/internal/proc"
)

func TestNetnsName(t *testing.T) {
	for _, c := range []struct{ root, point, want string }{
		{"/", "/run/netns/blue", "blue"},
		{"/", "/var/run/netns/blue", "blue"},
		{"/", "/run/netns/a b\n", "a b\n"},
		{"/host", "/host/run/netns/blue", "blue"},
		{"/host/", "/host/run/netns/blue", "blue"},
		{"/host", "/run/netns/blue", ""},
		{"/", "/host/run/netns/blue", ""},
		{"/", "/run/netns/deep/blue", ""},
		{"/", "/run/netns", ""},
		{"/", "/run/docker/netns/1-abc", ""},
		{"/", "/var/run/docker/netns/x", ""},
		{"relative", "/run/netns/blue", ""},
	} {
		got, ok := netnsName(proc.Root(c.root), c.point)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("netnsName(%q, %q) = %q, %v; want %q", c.root, c.point, got, ok, c.want)
		}
	}
}

func TestHidingOption(t *testing.T) {
	for _, c := range []struct {
		options string
		groups  []int
		want    string
	}{
		{"rw", nil, ""},
		{"rw,hidepid=0", nil, ""},
		{"rw,hidepid=off", nil, ""},
		{"rw,hidepid=1", nil, ""},
		{"rw,hidepid=noaccess", nil, ""},
		{"rw,hidepid=2", nil, "hidepid=2"},
		{"rw,hidepid=invisible", nil, "hidepid=invisible"},
		{"rw,hidepid=invisible", []int{5}, "hidepid=invisible"},
		{"rw,hidepid=invisible", []int{0}, ""}, // gid=0 goes without saying
		{"rw,gid=5,hidepid=invisible", []int{5}, ""},
		{"rw,gid=5,hidepid=invisible", []int{0}, "hidepid=invisible"},
		{"rw,hidepid=ptraceable", nil, "hidepid=ptraceable"},
		{"rw,gid=5,hidepid=4", []int{5, 0}, "hidepid=4"},
		{"", nil, ""},
	} {
		got := hidingOption(c.options, func(gid int) bool {
			return slices.Contains(c.groups, gid)
		})
		if got != c.want {
			t.Errorf("%q in groups %v: %q, want %q", c.options, c.groups, got, c.want)
		}
	}
}
