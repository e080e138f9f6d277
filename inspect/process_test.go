package inspect

import (
	"encoding/json"
	"testing"
)

func TestNSSetAsJSON(t *testing.T) {
	for _, c := range []struct {
		set  NSSet
		want string
	}{
		{NSSet{}, `{}`},
		{NSSet{Net: 4026531833}, `{"net":4026531833}`},
		{NSSet{User: 2, PID: 1}, `{"pid":1,"user":2}`},
		{
			NSSet{1, 2, 3, 4, 5, 6, 7, 18446744073709551615},
			`{"cgroup":1,"ipc":2,"mnt":3,"net":4,"pid":5,"time":6,"user":7,"uts":18446744073709551615}`,
		},
	} {
		got, err := json.Marshal(c.set)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %s, %v; want %s", c.set, got, err, c.want)
		}
	}
	if id := (NSSet{Net: 7}).ID(Net); id != (ID{Net, 7}) {
		t.Errorf("ID(Net) = %v", id)
	}
}

func TestProcessAsJSON(t *testing.T) {
	got, err := json.Marshal(Process{PID: 7, PPID: 1, StartTicks: 9, Comm: "a", State: Zombie, NumThreads: 1, NS: NSSet{PID: 3}})
	want := `{"pid":7,"ppid":1,"start_ticks":9,"uid":null,"user":"","comm":"a","cmdline":null,"state":"Z","threads":1,` +
		`"ns":{"pid":3},"ns_pids":null,"cgroups":null,"container":null}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
