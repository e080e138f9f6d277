package cgroupfs

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs/keys"
)

// getWeight spells the weight that a group has as another key of weights would.
func (g *Group) getWeight(h *Hierarchy, key string) (KeyValue, bool) {
	if v1, v2 := keys.Spellings("io.weight"); !slices.Contains(v1, key) && !slices.Contains(v2, key) {
		return KeyValue{}, false
	}
	files := []string{"io.weight", "io.bfq.weight"}
	if h.Version == 1 {
		files = []string{"blkio.weight", "blkio.bfq.weight"}
	}
	if strings.Contains(key, "bfq") {
		files = files[1:]
	}
	for _, file := range files {
		text, err := h.read(g.path, file)
		if err != nil {
			continue
		}
		devices, _ := h.read(g.path, file+"_device")
		var lines, notes []string
		for line := range strings.Lines(text + "\n" + devices) {
			words := append([]string{"default"}, strings.Fields(line)...)
			words = words[max(len(words)-2, 0):]
			n, err := strconv.ParseInt(words[len(words)-1], 10, 64)
			isDefault := words[0] == "default"
			switch {
			case err != nil,
				isDefault && (strings.HasSuffix(key, "_device") || len(lines) > 0), // v1 has it in both files
				!isDefault && (key == "blkio.weight" || key == "blkio.bfq.weight"):
				continue
			}
			m, scaled := keys.ScaleWeight(file, strings.TrimSuffix(key, "_device"), n)
			notes = append(notes, scaled...)
			value := strconv.FormatInt(m, 10)
			if !isDefault || keys.Version(key) == 2 {
				value = words[0] + " " + value
			}
			lines = append(lines, value)
		}
		return KeyValue{key, strings.Join(lines, "\n"), path.Join(h.Dir(g.path), file), notes}, true
	}
	return KeyValue{}, false
}
