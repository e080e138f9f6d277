package launcher

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// show writes the slots' values to descriptor 1.
func show(p *Program, slots ...Slot) {
	for _, s := range slots {
		p.Call("show", unix.SYS_WRITE, Int(1), s.Address(), Int(8))
	}
}

// values runs the program and gives what show has written.
func values(t *testing.T, p *Program, way Way) []uint64 {
	t.Helper()
	text, state := output(t, p, Attr{Way: way})
	if exitStatus(state) != 0 {
		t.Fatalf("%v", state)
	}
	var words []uint64
	for ; len(text) >= 8; text = text[8:] {
		words = append(words, binary.NativeEndian.Uint64([]byte(text)))
	}
	return words
}

func TestBits(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		const word = 0xfedcba9876543210
		var p Program
		s := p.Slot(word)
		var got []Slot
		for _, shift := range []uint{0, 4, 63} {
			r := p.Slot(7)
			p.Bits(r, s.Value(), shift, 0xfff, 0)
			got = append(got, r)
		}
		all, less, number := p.Slot(0), p.Slot(0), p.Slot(0)
		p.Bits(all, s.Value(), 0, ^uint64(0), 0)
		p.Set(less, s.Value(), -1)
		p.Set(number, Int(41), 1)
		show(&p, append(got, s, all, less, number)...)
		want := []uint64{0x210, 0x321, 1, word, word, word - 1, 42}
		if words := values(t, &p, way); !slices.Equal(words, want) {
			t.Errorf("%x, want %x", words, want)
		}
	})
}

func TestTestAndJump(t *testing.T) {
	cases := []struct {
		value, mask, want uint64
		jumps             bool
	}{
		{5, ^uint64(0), 5, true},
		{5, ^uint64(0), 4, false},
		{0xff05, 0xff, 5, true},
		{0xff05, 0xffff, 5, false},
		{1 << 63, 1 << 63, 1 << 63, true},
		{0, ^uint64(0), 0, true},
		{0, 0, 1, false},
	}
	bothWays(t, func(t *testing.T, way Way) {
		for _, c := range cases {
			var p Program
			s, r, end := p.Slot(c.value), p.Slot(0), p.Label()
			p.Set(r, Int(1), 0)
			p.JumpIf(s.Value(), c.mask, c.want, end)
			p.Set(r, Int(0), 0)
			p.Place(end)
			show(&p, r)
			if got := values(t, &p, way); len(got) != 1 || (got[0] == 1) != c.jumps {
				t.Errorf("%+v: %v", c, got)
			}
		}
		// Backwards: a loop of five rounds.
		var p Program
		n, again := p.Slot(5), p.Label()
		done := p.Label()
		p.Place(again)
		show(&p, n)
		p.Set(n, n.Value(), -1)
		p.JumpIf(n.Value(), ^uint64(0), 0, done)
		p.Jump(again)
		p.Place(done)
		if got := values(t, &p, way); !slices.Equal(got, []uint64{5, 4, 3, 2, 1}) {
			t.Errorf("loop: %v", got)
		}
	})
}

// TestSixArguments maps the second page of a file and writes it out: mmap has
// six arguments, all of them needed. First as numbers, then from slots.
func TestSixArguments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	page := os.Getpagesize()
	if err := os.WriteFile(path, []byte(strings.Repeat("x", page)+"second page"), 0o600); err != nil {
		t.Fatal(err)
	}
	bothWays(t, func(t *testing.T, way Way) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, slots := range []bool{false, true} {
			var p Program
			args := []Arg{Int(0), Int(page), Int(unix.PROT_READ), Int(unix.MAP_PRIVATE), p.File(f), Int(page)}
			if slots {
				for i := range args {
					s := p.Slot(0)
					p.Set(s, args[i], 0)
					args[i] = s.Value()
				}
			}
			at := p.Slot(0)
			p.Call("mmap", unix.SYS_MMAP, args...).Into(at)
			p.Call("write", unix.SYS_WRITE, Int(1), at.Value(), Int(11))
			if text, _ := output(t, &p, Attr{Way: way}); text != "second page" {
				t.Errorf("from slots %v: %q", slots, text)
			}
		}
	})
}

func TestStoreAtAddressInSlot(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		s, pointer, result := p.Slot(1), p.Slot(0), p.Slot(2)
		p.Set(pointer, s.Address(), 0)
		p.copy(pointer.Value(), Int(99))
		p.Call("write nothing", unix.SYS_WRITE, Int(1), Int(0), Int(0)).Into(result)
		show(&p, s, result)
		if got := values(t, &p, way); !slices.Equal(got, []uint64{99, 0}) {
			t.Errorf("%v", got)
		}
	})
}

func TestFailedCalls(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		p.Call("one", unix.SYS_GETPID)
		p.Call("two", unix.SYS_CLOSE, Int(12345))
		p.Call("three", unix.SYS_GETPID)
		failsAt(t, &p, Attr{Way: way}, "two", unix.EBADF)
		if got := refused(t, &p, Attr{Way: way}).Error(); got != "two: bad file descriptor (EBADF)" {
			t.Error(got)
		}

		p = Program{}
		result, errno := p.Slot(0), p.Slot(0)
		p.Call("ignored", unix.SYS_CLOSE, Int(12345)).Ignore().Into(result)
		l := p.Label()
		p.Call("jumps", unix.SYS_CHDIR, p.String("/nonexistent")).OrJump(l)
		p.FailWith("jumped not", unix.EDOM)
		p.Place(l)
		p.Set(errno, Errno, 0)
		p.Call("good", unix.SYS_GETPID).OrJump(l)
		show(&p, result, errno)
		if got := values(t, &p, way); !slices.Equal(got, []uint64{^uint64(unix.EBADF) + 1, uint64(unix.ENOENT)}) {
			t.Errorf("%x", got)
		}

		// The largest errno that the kernel could give, and what is none.
		p = Program{}
		p.FailWith("by hand", 4095)
		failsAt(t, &p, Attr{Way: way}, "by hand", 4095)
	})
}

func TestEmptyProgramAndExit(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		if _, state := output(t, &Program{}, Attr{Way: way}); exitStatus(state) != 0 {
			t.Error(state)
		}
		var p Program
		p.Exit(43)
		if _, state := output(t, &p, Attr{Way: way}); exitStatus(state) != 43 {
			t.Error(state)
		}
		p = Program{}
		p.Fork()
		p.Exit(44)
		if _, state := output(t, &p, Attr{Way: way}); exitStatus(state) != 44 {
			t.Error(state)
		}
	})
}

func TestMistakes(t *testing.T) {
	var p Program
	p.Label()
	if _, err := Start(context.Background(), &p, Attr{Argv: []string{"x"}}); err == nil || !strings.Contains(err.Error(), "label 0 is not placed") {
		t.Error(err)
	}
	if _, err := Start(context.Background(), &Program{}, Attr{}); err == nil {
		t.Error("no argv, no error")
	}
	for _, a := range []Attr{{Argv: []string{"a\x00b"}}, {Argv: []string{"a"}, Env: []string{"A=\x00"}}} {
		if err := refused(t, &Program{}, a); !strings.Contains(err.Error(), "EINVAL") {
			t.Error(err)
		}
	}
}
