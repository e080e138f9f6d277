// Release makes what is given to users, out of trees that `make install` filled:
//
//	go run ./internal/release -version v0.1.0 -epoch 1764360000 -nfpm FILE -stage DIR -out DIR
//
// The stage has a directory for each architecture, with usr in it. For each of them
// it writes a tar.gz, a deb, an rpm and a list of what the binary is made of
// (CycloneDX); for all together an image (OCI) and SHA256SUMS. The same arguments
// and trees make the same bytes: no clock, host name, user or umask goes in.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// title and about are how packages name nsx. To most people nsx is a product of
// VMware's, which is why the second one says what it is not.
const (
	title = "Show, enter and limit Linux namespaces and cgroups"
	about = `nsx shows every namespace and cgroup of a Linux machine, who is in
them and what keeps them alive; runs commands inside any of them; and
creates, limits and fills cgroups on v1, v2 and hybrid hosts. It is one
static program.
It is not VMware's NSX.`
)

// release is what all parts of one are about.
type release struct {
	version    string // as git describes it
	time       time.Time
	maintainer string
	nfpm       string // the program
	stage, out string
}

func main() {
	r := release{}
	epoch := flag.Int64("epoch", 0, "seconds since 1970: when all files were made")
	flag.StringVar(&r.version, "version", "", "as git describes it")
	flag.StringVar(&r.maintainer, "maintainer", "nsx maintainers <maintainers@nsx.invalid>", "whom the packages name")
	flag.StringVar(&r.nfpm, "nfpm", "nfpm", "the program that makes packages")
	flag.StringVar(&r.stage, "stage", "", "a directory for each architecture")
	flag.StringVar(&r.out, "out", "", "where to write")
	flag.Parse()
	r.time = time.Unix(*epoch, 0).UTC()
	if err := r.make(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) make() error {
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var platforms []platform
	arches, err := os.ReadDir(r.stage)
	if err != nil {
		return err
	}
	for _, entry := range arches {
		arch := entry.Name()
		tree, err := readTree(filepath.Join(r.stage, arch, "usr"))
		if err != nil {
			return err
		}
		if err := r.makeFor(arch, tree); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		platforms = append(platforms, platform{arch, tree.find("bin/nsx"), tree.find("share/doc/nsx/LICENSE")})
	}
	image, err := r.image(platforms)
	if err != nil {
		return err
	}
	if err := r.write(fmt.Sprintf("nsx-%s-oci.tar", r.packageVersion()), image.tar(r.time, "")); err != nil {
		return err
	}
	return r.sums()
}

func (r *release) makeFor(arch string, tree tree) error {
	base := fmt.Sprintf("nsx-%s-linux-%s", r.packageVersion(), arch)
	if err := r.write(base+".tar.gz", gzipped(tree.tar(r.time, base))); err != nil {
		return err
	}
	bill, err := r.sbom(filepath.Join(r.stage, arch, "usr/bin/nsx"))
	if err != nil {
		return err
	}
	if err := r.write(base+".cdx.json", bill); err != nil {
		return err
	}
	if err := r.pack("deb", arch, r.debTree(tree)); err != nil {
		return err
	}
	return r.pack("rpm", arch, rpmTree(tree))
}

func (r *release) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(r.out, name), data, 0o644)
}

// sums writes SHA256SUMS of everything, as sha256sum(1) checks it.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), e.Name()))
	}
	slices.Sort(lines)
	return r.write("SHA256SUMS", []byte(strings.Join(lines, "")))
}
