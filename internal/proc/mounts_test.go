package proc

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMounts(t *testing.T) {
	const root, ns = "21 1 0:1 / / rw - ext4 /dev/vda rw\n", "36 21 0:4 net:[4026532201] /run/netns/blue\\040- rw shared:1 - nsfs nsfs rw\n"
	long := "37 21 0:9 / /merged rw - overlay overlay rw,lowerdir=" + strings.Repeat("/layer", 50_000) + "\n"
	for _, c := range []struct {
		text, want string
		types      []string
	}{
		{"", "", nil},
		{root + ns, root + ns, nil},
		{root + ns, ns, []string{"nsfs"}},
		{root + long + ns, ns, []string{"nsfs", "proc"}},
		{root + long + ns, root + long[:maxLine] + "\n" + ns, nil},
		{root + strings.TrimSuffix(ns, "\n"), strings.TrimSuffix(ns, "\n"), []string{"nsfs"}},
		{long, "", []string{"nsfs"}},
	} {
		got, err := Mounts(strings.NewReader(c.text), c.types...)
		if string(got) != c.want || err != nil {
			t.Errorf("%.100q: %.300q, %v", c.text, got, err)
		}
	}
	got, err := Mounts(io.MultiReader(strings.NewReader(ns), endless{}), "nsfs")
	if string(got) != ns || !errors.Is(err, unix.EFBIG) {
		t.Errorf("a table without an end: %.300q, %v", got, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "x\n"[i%2]
	}
	return len(p), nil
}
