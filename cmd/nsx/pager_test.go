package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminalOf opens a terminal with so many lines.
func terminalOf(t *testing.T, lines uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	must(t, err)
	var n int
	var failed error
	must(t, raw.Control(func(fd uintptr) {
		n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		failed = errors.Join(err, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: 80}))
	}))
	must(t, failed)
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestPager: what is longer than the terminal goes through the user's pager, and is
// printed where there is none, or it cannot be started.
func TestPager(t *testing.T) {
	const text = "one\ntwo\nthree\nfour\n"
	for _, c := range []struct {
		name         string
		lines        uint16
		nsx, pager   string
		noPager      bool
		want, absent string
	}{
		{name: "longer", lines: 4, nsx: "sed s/^/N/", pager: "sed s/^/P/", want: "None\r\nNtwo\r\n"},
		{name: "PAGER", lines: 4, nsx: "-", pager: "sed s/^/P/", want: "Pone\r\n"},
		{name: "it fits", lines: 5, nsx: "sed s/^/N/", want: "one\r\n", absent: "N"},
		{name: "none is wanted", lines: 4, nsx: "", pager: "sed s/^/P/", want: "one\r\n", absent: "P"},
		{name: "by the flag", lines: 4, nsx: "sed s/^/N/", noPager: true, want: "one\r\n", absent: "N"},
		{name: "there is none", lines: 4, nsx: "no-such-pager-of-nsx 2>/dev/null", want: "one\r\n"},
		{name: "it is left early", lines: 4, nsx: "head -n1 | sed s/^/N/", want: "None\r\n", absent: "two"},
		{name: "it fails", lines: 4, nsx: "cat; exit 3", want: "four\r\n"},
		{name: "no size is known", lines: 0, nsx: "sed s/^/N/", want: "one\r\n", absent: "N"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PAGER", c.pager)
			t.Setenv("NSX_PAGER", c.nsx)
			if c.nsx == "-" {
				os.Unsetenv("NSX_PAGER")
			}
			master, slave := terminalOf(t, c.lines)
			f := viewFlags{noPager: c.noPager}
			must(t, f.paged(slave, func(w io.Writer) error {
				_, err := io.WriteString(w, text)
				return err
			}))
			slave.Close()
			must(t, master.SetReadDeadline(time.Now().Add(10*time.Second)))
			got, _ := io.ReadAll(master) // EIO at its end
			if s := string(got); !strings.Contains(s, c.want) || c.absent != "" && strings.Contains(s, c.absent) || strings.Count(s, "one") != 1 {
				t.Errorf("%q, want %q and not %q", s, c.want, c.absent)
			}
		})
	}

	// What cannot be composed is no page.
	_, slave := terminalOf(t, 4)
	if err := (&viewFlags{}).paged(slave, func(io.Writer) error { return unix.EDOM }); !errors.Is(err, unix.EDOM) {
		t.Errorf("%v", err)
	}
}
