// Lab runs nsx's tests on real kernels: it boots Debian's in emulated machines,
// with the cgroups of each layout, and tells for each cell of kernel × layout
// how the tests went there. See docs/lab.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var layouts = []string{"v2", "hybrid", "v1"}

func main() {
	if err := lab(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func lab() error {
	wantKernels := flag.String("kernel", "", "only these kernels: `VERSION,…`")
	wantCells := flag.String("cells", "", "only these cells: `KERNEL/LAYOUT,…`")
	wantLayouts := flag.String("layout", "", "only these layouts: `v2,hybrid,v1`")
	pattern := flag.String("run", "", "only the tests that `REGEXP` matches")
	only := flag.String("packages", "", "only the tests of these packages: `DIR,…` (default: "+strings.Join(packages, ",")+")")
	systemd := flag.Bool("systemd", false, "boot systemd, and run the tests that hold nsx against it")
	selinux := flag.Bool("selinux", false, "have SELinux enforce Debian's policy")
	shell := flag.Bool("shell", false, "open a shell in the first machine instead")
	dir := flag.String("dir", "build/lab", "keep kernels and logs in `DIR`")
	mirror := flag.String("mirror", "", "fetch kernels from `URL` (default: where this machine's packages come from)")
	memory := flag.Int("memory", 1536, "a machine's memory in `MiB`")
	doc := flag.String("o", "", "write the matrix into `FILE`")
	limit := flag.Duration("limit", 15*time.Minute, "a machine's time")
	flag.Parse()

	if strings.ContainsAny(*pattern, " \t\"") {
		return fmt.Errorf("-run %q: the kernel's command line takes no blanks and quotes", *pattern)
	}
	cells, err := chosen(*wantKernels, *wantLayouts, *wantCells)
	if err != nil {
		return err
	}
	if *systemd {
		if cells, err = withSystemd(cells); err != nil {
			return err
		}
	}
	for i := range cells {
		cells[i].selinux = *selinux && !*systemd && !cells[i].foreign()
	}
	built := map[string]string{}
	for i := range cells {
		c := &cells[i]
		c.memory = *memory
		if err := c.fetch(*dir, *mirror); err != nil {
			return err
		}
		if built[c.kernel.arch()] == "" {
			if built[c.kernel.arch()], err = c.build(*dir, *mirror, *only); err != nil {
				return err
			}
		}
		c.tests = built[c.kernel.arch()]
	}
	if *shell {
		_, err := cells[0].boot(context.Background(), *dir, "nsx.shell=1", true)
		return err
	}
	words := ""
	if *pattern != "" {
		words = "nsx.run=" + *pattern
	}
	verdicts := runAll(cells, func(c cell) verdict {
		start := time.Now()
		log, restarts, err := c.run(*dir, words, *limit)
		v := judge(c, log, err)
		v.restarts = restarts
		v.took = time.Since(start)
		fmt.Print(v.text())
		return v
	})
	restarts := 0
	for _, v := range verdicts {
		restarts += len(v.restarts)
	}
	fmt.Printf("%d machines, started again for a fault of the emulator: %d times\n", len(verdicts), restarts)
	if *doc != "" {
		if err := writeMatrix(*doc, verdicts); err != nil {
			return err
		}
	}
	for _, v := range verdicts {
		if !v.green() {
			return errors.New("not all cells are green; their logs are in " + *dir)
		}
	}
	return nil
}

// fetch gets what the cell's machine is made of, and is not there yet.
func (c *cell) fetch(dir, mirror string) (err error) {
	arch := c.kernel.arch()
	if qemu := emulators[arch]; qemu.program == "" {
		return fmt.Errorf("no emulator is known for %s", arch)
	} else if _, err := exec.LookPath(qemu.program); err != nil {
		return fmt.Errorf("%w: apt-get install --no-install-recommends %s", err, qemu.debian)
	}
	if c.image, err = c.kernel.fetch(dir, mirror); err != nil {
		return fmt.Errorf("kernel %s: %w", c.kernel.version, err)
	}
	switch {
	case c.systemd:
		if c.root, err = fetchSystemd(dir, c.kernel, mirror); err != nil {
			return fmt.Errorf("systemd of %s: %w", c.kernel.suite, err)
		}
	case c.foreign():
		if c.root, err = fetchPrograms(dir, c.kernel, mirror); err != nil {
			return fmt.Errorf("programs for %s: %w", arch, err)
		}
	}
	return nil
}

// build makes the archive with the tests for machines such as the cell's; where
// these have no root file system of their own, that too.
func (c *cell) build(dir, mirror, only string) (initramfs string, err error) {
	kind, list := "", packages
	switch {
	case c.systemd:
		kind = "-systemd"
	case c.foreign():
		kind, list = "-"+c.kernel.arch(), foreignPackages
	case c.selinux:
		kind, list = "-selinux", selinuxPackages
	}
	if only != "" {
		list = strings.Split(only, ",")
	}
	tree, initramfs := filepath.Join(dir, "tree"+kind), filepath.Join(dir, "initramfs"+kind)
	if err := errors.Join(os.RemoveAll(tree), os.RemoveAll(initramfs)); err != nil {
		return "", err
	}
	switch {
	case c.systemd:
		err = buildSystemdTests(tree)
	case c.foreign():
		err = buildTests(tree, c.kernel.arch(), list)
	default:
		var parser string
		if parser, err = fetchParser(dir, mirror); err != nil {
			return "", fmt.Errorf("apparmor_parser: %w", err)
		}
		err = buildTree(tree, parser, list)
	}
	if err == nil && c.selinux {
		var policy string
		if policy, err = fetchPolicy(dir, mirror); err != nil {
			return "", fmt.Errorf("SELinux's policy: %w", err)
		}
		err = copyFile(filepath.Join(tree, "policy"), policy)
	}
	if err != nil {
		return "", err
	}
	return initramfs, appendCpio(initramfs, tree)
}

// chosen is the part of the matrix that was asked for, all of it by default.
func chosen(wantKernels, wantLayouts, wantCells string) (cells []cell, err error) {
	if wantCells != "" {
		for name := range strings.SplitSeq(wantCells, ",") {
			kernel, layout, _ := strings.Cut(name, "/")
			one, err := chosen(kernel, layout, "")
			if err != nil || kernel == "" || layout == "" {
				return nil, fmt.Errorf("-cells: want KERNEL/LAYOUT, not %q", name)
			}
			cells = append(cells, one...)
		}
		return cells, nil
	}
	known := map[string]bool{"": true}
	for _, k := range kernels {
		known[k.version] = true
	}
	for _, l := range layouts {
		known[l] = true
	}
	k, l := strings.Split(wantKernels, ","), strings.Split(wantLayouts, ",")
	for _, name := range slices.Concat(k, l) {
		if !known[name] {
			return nil, fmt.Errorf("no kernel or layout %q: there are %v, %v", name, kernels, layouts)
		}
	}
	for _, kernel := range kernels {
		for _, layout := range layouts {
			if kernel.arch() != "amd64" && layout != "v2" {
				continue // the processor does not change the answers of the others
			}
			if (wantKernels == "" || slices.Contains(k, kernel.version)) && (wantLayouts == "" || slices.Contains(l, layout)) {
				cells = append(cells, cell{kernel: kernel, layout: layout})
			}
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no cell has kernel %q and layout %q", wantKernels, wantLayouts)
	}
	return cells, nil
}

// runAll keeps two machines going, as many as two processors can carry.
func runAll(cells []cell, run func(cell) verdict) []verdict {
	verdicts := make([]verdict, len(cells))
	slots, done := make(chan struct{}, 2), make(chan struct{})
	for i, c := range cells {
		go func() {
			slots <- struct{}{}
			verdicts[i] = run(c)
			<-slots
			done <- struct{}{}
		}()
	}
	for range cells {
		<-done
	}
	return verdicts
}
