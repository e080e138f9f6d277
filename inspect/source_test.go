package inspect

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

// fakeSource is a Source without files.
type fakeSource struct {
	fields Fields
	asked  *Request
	err    error
}

func (f fakeSource) Fields() Fields { return f.fields }

func (f fakeSource) Processes(_ context.Context, r Request) ([]Process, []Unreadable, error) {
	*f.asked = r
	uid := uint32(77)
	p := Process{PID: 3, State: 'S', StartTicks: 300, NumThreads: 2, NS: boot}
	p.NS[Net] = 9
	if f.fields.Has(FieldIDs) {
		p.UID, p.NSPIDs = &uid, []int{3, 1}
	}
	if f.fields.Has(FieldCgroups) {
		p.Cgroups = []cgroupfs.Membership{{Path: "/ours"}}
	}
	list := []Process{p, {PID: 5, StartTicks: 1, NS: boot}, {PID: 6, StartTicks: 600, NS: boot}}
	return list, []Unreadable{{4, "namespaces", "EACCES"}}, f.err
}

// TestSource: what another source leaves out is read in /proc, and nothing else is.
// Of the processes that it lists, 5 has died since and its PID is another's, and 6
// has died.
func TestSource(t *testing.T) {
	root := filepath.Dir(testkit.ProcTree(t,
		testkit.FakeProcess{
			PID: 3, UID: 12, Cgroup: "0::/theirs\n", ForKids: map[string]uint64{"pid": 88}, NS: map[string]uint64{"net": 7},
			Threads: []testkit.FakeThread{{TID: 31, NS: map[string]uint64{"uts": 66}}},
		},
		testkit.FakeProcess{PID: 5, StartTicks: 2}))
	all := Options{Cgroups: true, ForChildren: true, Details: AllDetails, Workers: 2}
	for _, c := range []struct {
		fields  Fields
		uid     uint32
		cgroup  string
		threads int
		gone    bool // it is noticed who has gone
	}{
		{FieldNS, 12, "/theirs", 1, true},
		{FieldNS | FieldIDs | FieldCgroups, 77, "/ours", 1, true},
		{FieldNS | FieldIDs | FieldCgroups | FieldThreads | FieldForChildren, 77, "/ours", 0, false},
	} {
		var asked Request
		s, err := at(root).From(fakeSource{c.fields, &asked, nil}).Scan(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		if !asked.Fields.Has(FieldNS|FieldForChildren|FieldThreads|FieldCgroups|FieldIDs) || asked.PIDs != nil || asked.Workers != 2 {
			t.Errorf("%b: asked for %+v", c.fields, asked)
		}
		p := s.Process(3)
		if p == nil || p.UID == nil || *p.UID != c.uid || len(p.Cgroups) != 1 || p.Cgroups[0].Path != c.cgroup || len(p.Threads) != c.threads || p.NS[Net] != 9 {
			t.Errorf("%b: %+v", c.fields, p)
		}
		if c.gone != (s.Process(5) == nil) || c.gone != (s.Process(6) == nil) {
			t.Errorf("%b: of those who have gone there are %v, %v", c.fields, s.Process(5), s.Process(6))
		}
		if c.gone && p.PIDForChildren != 88 {
			t.Errorf("%b: for children: %d", c.fields, p.PIDForChildren)
		}
		if len(p.Cmdline) != 1 {
			t.Errorf("%b: command line %q", c.fields, p.Cmdline)
		}
		if s.Complete || s.UnreadableProcesses() != 1 {
			t.Errorf("%b: what the source could not read: %v", c.fields, s.Unreadable)
		}
	}
	broken := errors.New("broken")
	if _, err := at(root).From(fakeSource{FieldNS, new(Request), broken}).Scan(t.Context(), Options{}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := at(root).From(fakeSource{FieldNS, new(Request), nil}).Scan(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	// Where a word names one process, the source hears of it.
	var asked Request
	if _, m, err := at(root).From(fakeSource{FieldNS, &asked, nil}).Find(t.Context(), []string{"3"}, Options{ProcessesOnly: true}); err != nil || !m.HasPID(3) || !slices.Equal(asked.PIDs, []int{1, 2, 3}) {
		t.Errorf("%+v, %v: asked for %+v", m, err, asked)
	}
}
