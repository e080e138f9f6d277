package cgroupfs

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// throttled makes a group that can limit the use of a disk, on v1 or v2.
func throttled(t *testing.T) (g *Group, disk keys.Device) {
	t.Helper()
	fs := openFS(t)
	needs(t, fs, "io")
	disk, err := ParseDevice("vda")
	testkit.Require(t, err == nil, "needs a disk named vda") // the lab's have one
	return made(t, fs, "io"), disk
}

func TestThrottle(t *testing.T) {
	g, disk := throttled(t)
	name := "vda"
	for _, key := range []string{"io.max", "blkio.throttle.read_bps_device"} {
		if got := get(t, g, key); got != "" {
			t.Errorf("%s of a new group: %q", key, got)
		}
	}
	set(t, g, "io.max=/dev/"+name+" rbps=10M wiops=100")
	// v1 has a line for each limit, v2 one for the disk.
	want, off := disk.String()+" rbps=10485760 wiops=100", ""
	if h, err := g.fs.Controller("io"); err == nil && h.Version == 2 {
		want, off = disk.String()+" rbps=10485760 wbps=max riops=max wiops=100", disk.String()+" 0"
	}
	if got := get(t, g, "io.max"); got != want {
		t.Errorf("io.max %q, want %q", got, want)
	}
	set(t, g, "io.max="+name+" rbps=max")
	if got := get(t, g, "blkio.throttle.read_bps_device"); got != off {
		t.Errorf("not taken off: %q", got)
	}
	_, err := trySet(t, g, "io.max=77:7 rbps=1M")
	refusedWith(t, err, unix.ENODEV, "no disk of that number")
	_, err = trySet(t, g, "io.max="+name+" rbps=1M nonsense=2")
	if err == nil {
		t.Error("trailing words are taken")
	}
}

// TestThrottledUse measures that the kernel obeys, by its own count of the bytes,
// on a disk that is nobody's.
func TestThrottledUse(t *testing.T) {
	testkit.RequireLab(t)
	const limit, size = 1 << 20, 3 << 20
	for _, c := range []struct {
		key, from, to, flag string
		count               func(IOStat) int64
	}{
		{"rbps", "if=/dev/", "of=/dev/null", "iflag=direct", func(s IOStat) int64 { return max(number(s.ReadBytes), 0) }},
		{"wbps", "of=/dev/", "if=/dev/zero", "oflag=direct", func(s IOStat) int64 { return max(number(s.WriteBytes), 0) }},
	} {
		t.Run(c.key, func(t *testing.T) {
			g, disk := throttled(t)
			use := func() (rate float64, counted int64) {
				t.Helper()
				before, start := c.count(ioOf(t, g, disk)), time.Now()
				cmd := exec.Command("dd", c.from+"vda", c.to, c.flag, "bs=64k", "count=48")
				if err := g.Start(cmd); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Fatal(err)
				}
				return size / time.Since(start).Seconds(), c.count(ioOf(t, g, disk)) - before
			}
			free, _ := use() // v1 of Linux 6.1 counts only what is limited
			set(t, g, "io.max="+disk.String()+" "+c.key+"=1M")
			slow, counted := use()
			t.Logf("%.1f MiB/s, with a limit of 1 MiB/s %.1f", free/limit, slow/limit)
			if counted != size {
				t.Errorf("the kernel counted %d bytes, want %d", counted, size)
			}
			// It lets some through before it slows down.
			if slow > 1.5*limit || free < 2*slow {
				t.Errorf("%.0f bytes a second, with a limit of %d %.0f", free, limit, slow)
			}
			set(t, g, "io.max="+disk.String()+" "+c.key+"=max")
			if again, _ := use(); again < 2*slow {
				t.Errorf("%.0f bytes a second with the limit taken off, %.0f with it", again, slow)
			}
		})
	}
}

// ioOf is a disk's part of the group's statistics.
func ioOf(t *testing.T, g *Group, disk keys.Device) IOStat {
	t.Helper()
	s, err := g.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(s.IO, func(io IOStat) bool { return io.Device.Device == disk }); i >= 0 {
		return s.IO[i]
	}
	return IOStat{}
}
