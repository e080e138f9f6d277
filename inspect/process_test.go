package inspect

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	"nsx/internal/testkit"
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
			NSSet{0, 1, 2, 3, 4, 5, 6, 7, 18446744073709551615},
			`{"cgroup":1,"ipc":2,"mnt":3,"net":4,"pid":5,"time":6,"user":7,"uts":18446744073709551615}`,
		},
	} {
		got, err := json.Marshal(c.set)
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %s, %v; want %s", c.set, got, err, c.want)
		}
		back := NSSet{UTS: 77}
		if err := json.Unmarshal(got, &back); err != nil || back != c.set {
			t.Errorf("%s: back from JSON: %v, %v", got, back, err)
		}
	}
	if id := (NSSet{Net: 7}).ID(Net); id != (ID{Net, 7}) {
		t.Errorf("ID(Net) = %v", id)
	}
}

func TestProcessAsJSON(t *testing.T) {
	got, err := json.Marshal(Process{PID: 7, PPID: 1, StartTicks: 9, Comm: "a", State: Zombie, NumThreads: 1, NS: NSSet{PID: 3}})
	want := `{"pid":7,"ppid":1,"start_ticks":9,"uid":null,"user":"","comm":"a","cmdline":null,"state":"Z","num_threads":1,` +
		`"ns":{"pid":3},"ns_pids":null,"cgroups":null,"identity":null}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// TestSnapshotReadsItself: what a scan found is what its document says.
func TestSnapshotReadsItself(t *testing.T) {
	root := filepath.Dir(testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1}, testkit.FakeProcess{PID: 2, Flags: 0x00200000, Cmdline: []string{}},
		testkit.FakeProcess{PID: 5, PPID: 1, NS: map[string]uint64{"net": 9}, ForKids: map[string]uint64{"pid": 8}, Threads: []testkit.FakeThread{{TID: 6, NS: map[string]uint64{"uts": 7}}}},
		testkit.FakeProcess{PID: 7, State: 'Z'}, testkit.FakeProcess{PID: 9, Extra: map[string]string{"ns/net -> junk": ""}}))
	want := scanAt(t, root, Options{Cgroups: true, Sets: true, Threads: true, ForChildren: true, Details: AllDetails})
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Snapshot
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		again, _ := json.Marshal(got)
		t.Errorf("%+v\nwant %+v\n%s\n%s", got, *want, again, text)
	}
	var state State
	for _, text := range []string{`""`, `"SS"`, `7`} {
		if err := json.Unmarshal([]byte(text), &state); err == nil {
			t.Errorf("state %s: %v", text, state)
		}
	}
	var set NSSet
	for _, text := range []string{`{"bogus":7}`, `{"none":7}`, `{"net":-1}`, `[]`} {
		if err := json.Unmarshal([]byte(text), &set); err == nil {
			t.Errorf("set %s: %v", text, set)
		}
	}
}
