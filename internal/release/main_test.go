package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a time that is not now.
var made = time.Unix(1764360000, 0).UTC()

func TestPackageVersion(t *testing.T) {
	for described, want := range map[string]string{
		"v0.1.0":                        "0.1.0",
		"v0.2.0-rc.1":                   "0.2.0~rc.1",
		"v0.1.0-3-gdeadbeef":            "0.1.0+3.gdeadbeef",
		"v0.2.0-rc.1-12-gdeadbee":       "0.2.0~rc.1+12.gdeadbee",
		"v0.2.0-rc.1-12-gdeadbee-dirty": "0.2.0~rc.1+12.gdeadbee+dirty",
		"v0.1.0-dirty":                  "0.1.0+dirty",
		"116a465":                       "0.0.0~git20251128200000.116a465",
		"116a465-dirty":                 "0.0.0~git20251128200000.116a465.dirty",
		"dev":                           "0.0.0~git20251128200000.dev",
	} {
		r := release{version: described, time: made}
		if got := r.packageVersion(); got != want {
			t.Errorf("%s: %s, want %s", described, got, want)
		}
	}
}

// Neither the umask, nor the clock, nor the order of files is in an archive.
func TestTar(t *testing.T) {
	var archives [][]byte
	for i, mode := range []os.FileMode{0o600, 0o666} {
		dir := t.TempDir()
		for _, name := range []string{"share/doc/a", "share/b"} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, made.Add(time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		files, err := readTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, files.tar(made, "top"))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same files differ")
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(archives[0])); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %o", h.Name, h.Mode))
	}
	want := []string{"top/ 755", "top/share/ 755", "top/share/b 644", "top/share/doc/ 755", "top/share/doc/a 644"}
	if !slices.Equal(names, want) {
		t.Errorf("in the archive: %q, want %q", names, want)
	}
}

func TestPackagesOwnTheirDirectories(t *testing.T) {
	files := tree{{path: "bin/nsx"}, {path: "share/doc/nsx/docs/lab.md"}, {path: "share/licenses/nsx/LICENSE"}, {path: "share/man/man1/nsx.1"}}
	want := []string{"share/doc/nsx", "share/doc/nsx/docs", "share/licenses/nsx"}
	if got := files.ownDirectories(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPlaces(t *testing.T) {
	r := release{version: "v0.1.0", time: made, maintainer: "A <a@b>"}
	files := tree{{path: "share/doc/nsx/LICENSE"}, {path: "share/man/man1/nsx.1"}, {path: "share/zsh/site-functions/_nsx"}}
	paths := func(files tree) []string {
		var names []string
		for _, f := range files {
			names = append(names, f.path)
		}
		return names
	}
	want := []string{
		"share/doc/nsx/changelog.Debian.gz", "share/doc/nsx/copyright", "share/lintian/overrides/nsx",
		"share/man/man1/nsx.1.gz", "share/zsh/vendor-completions/_nsx",
	}
	if got := paths(r.debTree(files)); !slices.Equal(got, want) {
		t.Errorf("deb: %q, want %q", got, want)
	}
	want = []string{"share/licenses/nsx/LICENSE", "share/man/man1/nsx.1.gz", "share/zsh/site-functions/_nsx"}
	if got := paths(rpmTree(files)); !slices.Equal(got, want) {
		t.Errorf("rpm: %q, want %q", got, want)
	}
}

// Every digest of the image is that of a file in it, and leads from the index to a
// layer with nsx.
func TestImage(t *testing.T) {
	r := release{version: "v0.1.0-rc.1", time: made}
	layout, err := r.image([]platform{{"amd64", []byte("one"), []byte("licence")}, {"arm64", []byte("two"), []byte("licence")}})
	if err != nil {
		t.Fatal(err)
	}
	blob := func(d ociDescriptor, into any) []byte {
		data := layout.find("blobs/" + strings.Replace(d.Digest, ":", "/", 1))
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); sum != d.Digest || len(data) != d.Size {
			t.Fatalf("%s has %d bytes with digest %s, want %d", d.Digest, len(data), sum, d.Size)
		}
		if into != nil {
			if err := json.Unmarshal(data, into); err != nil {
				t.Fatal(err)
			}
		}
		return data
	}
	var top, all ociIndex
	if err := json.Unmarshal(layout.find("index.json"), &top); err != nil {
		t.Fatal(err)
	}
	if name := top.Manifests[0].Annotations["org.opencontainers.image.ref.name"]; name != "nsx:0.1.0-rc.1" {
		t.Errorf("the image is called %q", name)
	}
	blob(top.Manifests[0], &all)
	has := map[string]string{}
	for _, d := range all.Manifests {
		var manifest ociManifest
		blob(d, &manifest)
		var config ociConfig
		blob(manifest.Config, &config)
		unpacked, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0], nil)))
		if err != nil {
			t.Fatal(err)
		}
		layer, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(layer)); sum != config.RootFS.DiffIDs[0] {
			t.Errorf("%s: the layer's digest is %s, not %s", config.Architecture, sum, config.RootFS.DiffIDs[0])
		}
		for r := tar.NewReader(bytes.NewReader(layer)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if data, _ := io.ReadAll(r); "/"+h.Name == config.Config.Entrypoint[0] {
				has[d.Platform.Architecture] = string(data)
			}
		}
	}
	if want := map[string]string{"amd64": "one", "arm64": "two"}; !reflect.DeepEqual(has, want) {
		t.Errorf("nsx in the image: %v, want %v", has, want)
	}
	if _, err := r.image([]platform{{"amd64", nil, nil}}); err == nil {
		t.Error("an image without nsx is made")
	}
}

// The list has every module that Go wrote into a binary, here this one.
func TestSBOM(t *testing.T) {
	r := release{version: "v0.1.0", time: made}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.sbom(self)
	if err != nil {
		t.Fatal(err)
	}
	var bill cdxBill
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	if c := bill.Metadata.Component; !strings.HasSuffix(c.PURL, "nsx@v0.1.0") || c.Licenses[0].License.ID != "Apache-2.0" {
		t.Errorf("it is about %+v", c)
	}
	if std := bill.Components[0]; std.Name != "std" || !strings.HasPrefix(std.Version, "1.") {
		t.Errorf("Go's library is %+v", std)
	}
}
