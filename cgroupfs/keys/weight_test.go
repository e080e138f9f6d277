package keys

import "testing"

// A weight of one scale comes back from the other as it was.
func TestScales(t *testing.T) {
	for n := int64(1); n <= 1000; n++ {
		tr := &translator{}
		if back := tr.scaleWeight("io.weight", "io.bfq.weight", tr.scaleWeight("io.bfq.weight", "io.weight", n)); back != n {
			t.Fatalf("%d comes back as %d", n, back)
		}
	}
	// CFQ's has the same ends, and 500 as normal.
	for n := int64(1); n <= 100; n++ {
		tr := &translator{}
		if back := tr.scaleWeight("blkio.weight", "io.weight", tr.scaleWeight("io.weight", "blkio.weight", n)); back != n {
			t.Fatalf("%d comes back as %d", n, back)
		}
	}
}
