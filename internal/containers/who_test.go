//go:build containers

package containers

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checkWho asks whose its processes are, by their PIDs here and inside.
func (b *box) checkWho(t *testing.T) {
	if b.name == "" {
		return
	}
	args := []string{"who", "-o", "name"}
	var want strings.Builder
	for _, pid := range b.members(t) {
		args = append(args, "pid:"+strconv.Itoa(pid))
		want.WriteString(b.name + "\n")
	}
	if got := run(t, b.nsx(args...)...); got != want.String() {
		t.Errorf("its processes are of %q, want %q", got, want.String())
	}
	inside := decode[struct {
		Answers []struct {
			Name    string
			Process struct {
				PID    int
				NSPIDs []int `json:"ns_pids"`
			}
		}
	}](t, b.nsx("who", "-o", "json", "pid:1@"+b.name)...)
	for _, a := range inside.Answers {
		if a.Name != b.name || !slices.Contains(a.Process.NSPIDs[1:], 1) {
			t.Errorf("process 1 inside is %+v", a)
		}
	}
	if len(inside.Answers) != 1 {
		t.Errorf("process 1 inside is %d processes", len(inside.Answers))
	}
}
