package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// copyright is Debian's machine-readable file; the licence itself is on every
// Debian machine.
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: nsx

Files: *
Copyright: the contributors of nsx
License: Apache-2.0
 On Debian systems the text of this licence, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`

// debTree is the tree where Debian wants it.
func (r *release) debTree(t tree) tree {
	deb := t.with(func(f file) file {
		if rest, ok := strings.CutPrefix(f.path, "share/zsh/site-functions/"); ok {
			f.path = "share/zsh/vendor-completions/" + rest
		}
		if path.Base(f.path) == "LICENSE" {
			f.path = ""
		}
		return compressed(f)
	})
	changelog := fmt.Sprintf("nsx (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n",
		r.packageVersion()+"-1", r.maintainer, r.time.Format(time.RFC1123Z))
	return append(deb,
		file{"share/doc/nsx/copyright", 0o644, []byte(copyright)},
		file{"share/doc/nsx/changelog.Debian.gz", 0o644, gzipped([]byte(changelog))},
		// Go's programs are: it is what lets this one run in any root directory.
		file{"share/lintian/overrides/nsx", 0o644, []byte("nsx: statically-linked-binary [usr/bin/nsx]\n")},
	).sorted()
}

// rpmTree is the tree where Fedora wants it.
func rpmTree(t tree) tree {
	return t.with(func(f file) file {
		if path.Base(f.path) == "LICENSE" {
			f.path = "share/licenses/nsx/LICENSE"
		}
		return compressed(f)
	}).sorted()
}

// compressed packs manual pages, as both want them.
func compressed(f file) file {
	if strings.HasPrefix(f.path, "share/man/") {
		f.path, f.data = f.path+".gz", gzipped(f.data)
	}
	return f
}

// nfpmConfig is what nfpm reads, as JSON, which is YAML as well.
type nfpmConfig struct {
	Name          string      `json:"name"`
	Arch          string      `json:"arch"`
	Platform      string      `json:"platform"`
	Version       string      `json:"version"`
	VersionSchema string      `json:"version_schema"` // none: ours is right already
	Release       string      `json:"release"`
	Section       string      `json:"section"`
	Priority      string      `json:"priority"`
	Maintainer    string      `json:"maintainer"`
	Suggests      []string    `json:"suggests"`
	Description   string      `json:"description"`
	License       string      `json:"license"`
	MTime         time.Time   `json:"mtime"`
	Contents      []nfpmEntry `json:"contents"`
	RPM           nfpmRPM     `json:"rpm"`
}

type nfpmRPM struct {
	Summary   string `json:"summary"`
	BuildHost string `json:"buildhost"` // or it is the name of this machine
}

type nfpmEntry struct {
	Src      string       `json:"src,omitempty"`
	Dst      string       `json:"dst"`
	Type     string       `json:"type,omitempty"`
	FileInfo nfpmFileInfo `json:"file_info"`
}

type nfpmFileInfo struct {
	Mode  uint32    `json:"mode"`
	MTime time.Time `json:"mtime"`
	Owner string    `json:"owner"`
	Group string    `json:"group"`
}

// ownDirectories is those that are nsx's alone: a package that does not name them
// leaves them behind.
func (t tree) ownDirectories() []string {
	var names []string
	for _, f := range t {
		for dir := path.Dir(f.path); strings.Contains(dir+"/", "/nsx/"); dir = path.Dir(dir) {
			if !slices.Contains(names, dir) {
				names = append(names, dir)
			}
		}
	}
	slices.Sort(names)
	return names
}

// pack makes a package of the files, below /usr.
func (r *release) pack(format, arch string, t tree) error {
	dir, err := os.MkdirTemp("", "nsx-release.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := nfpmConfig{
		Name: "nsx", Arch: arch, Platform: "linux",
		Version: r.packageVersion(), VersionSchema: "none", Release: "1",
		Section: "admin", Priority: "optional", Maintainer: r.maintainer,
		Suggests: []string{"bash-completion"}, Description: title + "\n" + about, License: "Apache-2.0", MTime: r.time,
		RPM: nfpmRPM{Summary: title, BuildHost: "localhost"},
	}
	if format == "rpm" {
		config.Description = about // which has a summary of its own
	}
	for i, f := range t {
		src := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(src, f.data, 0o600); err != nil {
			return err
		}
		config.Contents = append(config.Contents, nfpmEntry{src, "/usr/" + f.path, "", nfpmFileInfo{uint32(f.mode), r.time, "root", "root"}})
	}
	for _, name := range t.ownDirectories() {
		config.Contents = append(config.Contents, nfpmEntry{"", "/usr/" + name, "dir", nfpmFileInfo{0o755, r.time, "root", "root"}})
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "nfpm.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(r.nfpm, "package", "--config", file, "--packager", format, "--target", r.out+"/").CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", r.nfpm, err, out)
	}
	return nil
}
