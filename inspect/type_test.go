package inspect

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTypesAreTheKernels(t *testing.T) {
	flags := map[string]int{
		"cgroup": unix.CLONE_NEWCGROUP, "ipc": unix.CLONE_NEWIPC, "mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET,
		"pid": unix.CLONE_NEWPID, "time": unix.CLONE_NEWTIME, "user": unix.CLONE_NEWUSER, "uts": unix.CLONE_NEWUTS,
	}
	if len(flags) != NumTypes {
		t.Fatalf("%d flags for %d types", len(flags), NumTypes)
	}
	for i, typ := range Types {
		if int(typ) != i+1 {
			t.Errorf("Types[%d] is %d", i, typ)
		}
		if got, want := typ.CloneFlag(), flags[typ.String()]; got != want {
			t.Errorf("flag of %s: %#x, want %#x", typ, got, want)
		}
		if back, known := TypeOfFlag(typ.CloneFlag()); !known || back != typ {
			t.Errorf("TypeOfFlag(%#x) = %s, %v", typ.CloneFlag(), back, known)
		}
		if back, err := ParseType(typ.String()); err != nil || back != typ {
			t.Errorf("ParseType(%q) = %s, %v", typ, back, err)
		}
	}
	// A new kernel's ninth type has to be noticed.
	entries, err := os.ReadDir("/proc/self/ns")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, forChildren := strings.CutSuffix(e.Name(), "_for_children"); !forChildren {
			if _, err := ParseType(name); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTypeOfFlagRefuses(t *testing.T) {
	for _, flag := range []int{0, 1, -1, unix.CLONE_NEWNET | unix.CLONE_NEWUTS, unix.CLONE_VM} {
		if typ, known := TypeOfFlag(flag); known {
			t.Errorf("TypeOfFlag(%#x) = %s", flag, typ)
		}
	}
}

func TestParseTypeRefuses(t *testing.T) {
	for _, name := range []string{"", "NET", "net ", "mount", "network", "pid_for_children"} {
		_, err := ParseType(name)
		if err == nil || !strings.Contains(err.Error(), "cgroup, ipc, mnt, net, pid, time, user, uts") {
			t.Errorf("ParseType(%q): %v, want an error that lists the types", name, err)
		}
	}
}

func TestTypeAsText(t *testing.T) {
	text, err := json.Marshal(map[Type][]Type{Net: {Mnt, UTS}})
	if err != nil || string(text) != `{"net":["mnt","uts"]}` {
		t.Fatalf("%s, %v", text, err)
	}
	var back map[Type][]Type
	if err := json.Unmarshal(text, &back); err != nil || !slices.Equal(back[Net], []Type{Mnt, UTS}) {
		t.Errorf("back from JSON: %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`["bogus"]`), &[]Type{}); err == nil {
		t.Error("an unknown type was accepted")
	}
	if got := Type(42).String(); got != "type(42)" {
		t.Errorf("a type that is none: %q", got)
	}
	if none := (ID{}); none.Type.String() != "none" || none.Type.CloneFlag() != 0 || !none.IsZero() {
		t.Errorf("the zero value: %s", none)
	}
	if typ, err := ParseType("none"); err == nil {
		t.Errorf("none is a type: %v", typ)
	}
}

func TestParseID(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ID
	}{
		{"net:[4026531840]", ID{Net, 4026531840}},
		{"net:4026531840", ID{Net, 4026531840}},
		{"mnt:[1]", ID{Mnt, 1}},
		{"cgroup:[18446744073709551615]", ID{Cgroup, math.MaxUint64}},
	} {
		if got, err := ParseID(c.in); err != nil || got != c.want {
			t.Errorf("ParseID(%q) = %v, %v", c.in, got, err)
		}
	}
	for _, in := range []string{
		"", "net", "net:", "net:[]", "net:[", "net:]", "net:[1", "net:1]", "net:[[1]]", "net:[1]]", "net:[0]", "net:0",
		"net:[01]", "net:[+1]", "net:[-1]", "net:[ 1]", "net:[1 ]", "net:[0x1]", "net:[18446744073709551616]",
		"bogus:[1]", "Net:[1]", ":[1]", "4026531840", "net:[1]\n", "pid_for_children:[1]",
	} {
		if got, err := ParseID(in); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", in, got)
		} else if got != (ID{}) {
			t.Errorf("ParseID(%q) = %v with %v", in, got, err)
		}
	}
	if !(ID{}).IsZero() || !(ID{Net, 0}).IsZero() || (ID{Net, 1}).IsZero() {
		t.Error("IsZero")
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"net:[4026531840]", "net:1", "net:[1", "pid:[0]", "", "user:[18446744073709551616]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			if id != (ID{}) || err.Error() == "" {
				t.Fatalf("%v with the error %q", id, err)
			}
			return
		}
		// Only the two spellings of the very same namespace are accepted.
		bare := id.Type.String() + ":" + strconv.FormatUint(id.Inode, 10)
		if s != id.String() && s != bare {
			t.Fatalf("%q was read as %s", s, id)
		}
		if id.IsZero() || id.Type == 0 || int(id.Type) >= TypeLen {
			t.Fatalf("%q gave %#v", s, id)
		}
		if inode, ok := parseLink([]byte(id.String()), id.Type); !ok || inode != id.Inode {
			t.Fatalf("parseLink of %s: %d, %v", id, inode, ok)
		}
	})
}
