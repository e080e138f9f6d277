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
	only := flag.String("packages", strings.Join(packages, ","), "only the tests of these packages: `DIR,…`")
	systemd := flag.Bool("systemd", false, "boot systemd, and run the tests that hold nsx against it")
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
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		return fmt.Errorf("%w: apt-get install --no-install-recommends qemu-system-x86", err)
	}
	for i, c := range cells {
		cells[i].memory = *memory
		if cells[i].image, err = c.kernel.fetch(*dir, *mirror); err != nil {
			return fmt.Errorf("kernel %s: %w", c.kernel.version, err)
		}
		if c.systemd {
			if err := c.fetchSystemd(*dir, *mirror); err != nil {
				return fmt.Errorf("systemd of %s: %w", c.kernel.suite, err)
			}
		}
	}
	tree, initramfs := filepath.Join(*dir, "tree"), filepath.Join(*dir, "initramfs")
	if *systemd {
		tree, initramfs = tree+"-systemd", initramfs+"-systemd"
		err = buildSystemdTests(tree)
	} else if parser, err2 := fetchParser(*dir, *mirror); err2 != nil {
		err = fmt.Errorf("apparmor_parser: %w", err2)
	} else {
		err = buildTree(tree, parser, strings.Split(*only, ","))
	}
	if err != nil {
		return err
	}
	if err := os.RemoveAll(initramfs); err != nil {
		return err
	}
	if err := appendCpio(initramfs, tree); err != nil {
		return err
	}
	if *shell {
		_, err := cells[0].boot(context.Background(), *dir, initramfs, "nsx.shell=1", true)
		return err
	}
	words := ""
	if *pattern != "" {
		words = "nsx.run=" + *pattern
	}
	verdicts := runAll(cells, func(c cell) verdict {
		start := time.Now()
		log, err := c.run(*dir, initramfs, words, *limit)
		v := judge(c, log, err)
		v.took = time.Since(start)
		fmt.Print(v.text())
		return v
	})
	if *doc != "" {
		if err := writeMatrix(*doc, *only, verdicts); err != nil {
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
