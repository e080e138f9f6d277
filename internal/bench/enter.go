package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nsx/internal/testkit"
)

// The bars: how much longer entering may take than nsenter takes, and how much
// of the time of a shell loop over nsenter foreach may take.
const (
	maxEnter   = 1.5
	maxForeach = 0.6
)

// netCount is how many network namespaces foreach visits.
const netCount = 200

// enterBench times entering all eight namespaces of a process.
func enterBench(w io.Writer, o options) ([]string, error) {
	fmt.Fprintf(w, "All eight namespaces of one process, /bin/true in them; whole processes, in turns; median of %d.\n", 4*o.runs)
	fmt.Fprint(w, "`nsx version` does nothing: it is what starting nsx costs, beside a Go program with an empty main.\n\n")
	empty, err := buildEmpty()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Dir(empty))
	p, err := testkit.TryStart(testkit.Config{New: testkit.AllNS})
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	pid := strconv.Itoa(p.PID)
	commands := [][]string{
		{o.nsx, "enter", "-a", "-t", pid, "/bin/true"},
		{"nsenter", "-a", "-t", pid, "/bin/true"},
		{o.nsx, "version"},
		{empty},
		{"/bin/true"},
	}
	names := []string{"nsx enter -a", "nsenter -a", "nsx version", "empty Go program", "/bin/true"}
	if o.before != "" {
		commands = append(commands, []string{o.before, "enter", "-a", "-t", pid, "/bin/true"})
		names = append(names, "nsx enter -a of "+firstLine(o.before, "version"))
	}
	all, err := measure(commands, 4*o.runs)
	if err != nil {
		return nil, err
	}
	table(w, "times nsenter", names, all)
	return bar("nsx enter -a takes %.1f times as long as nsenter -a, not %.1f", all, maxEnter), nil
}

// buildEmpty makes a program that is nothing but Go's runtime, built as nsx is.
func buildEmpty() (path string, err error) {
	dir, err := os.MkdirTemp("", "nsx-bench-")
	if err != nil {
		return "", err
	}
	source, path := filepath.Join(dir, "main.go"), filepath.Join(dir, "empty")
	err = os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600)
	if err == nil {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		os.RemoveAll(dir)
	}
	return path, err
}

// foreachBench times a command in each of many network namespaces.
func foreachBench(w io.Writer, o options) ([]string, error) {
	fmt.Fprintf(w, "/bin/true in each, one after the other, beside a shell loop over nsenter; median of %d.\n\n", 4*o.runs)
	crowd, err := testkit.StartCrowd(testkit.CrowdConfig{N: netCount, Every: 1, New: []string{"net"}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = crowd.Stop(); time.Sleep(settle) }()
	pids := make([]string, len(crowd.Leaders))
	for i, pid := range crowd.Leaders {
		pids[i] = strconv.Itoa(pid)
	}
	loop := "for p in " + strings.Join(pids, " ") + "; do nsenter --net=/proc/$p/ns/net /bin/true; done"
	all, err := measure([][]string{
		{o.nsx, "foreach", "net", "--no-headers", "--", "/bin/true"},
		{"sh", "-c", loop},
	}, 4*o.runs)
	if err != nil {
		return nil, err
	}
	table(w, "times the loop", []string{"nsx foreach net", "shell loop over nsenter"}, all)
	return bar("nsx foreach net takes %.2f of the time of a shell loop over nsenter, not %.1f", all, maxForeach), nil
}

// table writes the rows; the second command is what the others are held against.
func table(w io.Writer, against string, names []string, all []series) {
	fmt.Fprintf(w, "| command | wall | min–max | CPU | peak memory | %s |\n", against)
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | ---: | ---: |")
	for i, s := range all {
		least, most := s.span()
		fmt.Fprintf(w, "| %s | %s | %s–%s | %s | %.1f MiB | %.2f |\n",
			names[i], ms(s.wall()), ms(least), ms(most), ms(s.cpu()), float64(s.rss())/1024, quotient(all, i))
	}
}

func quotient(all []series, i int) float64 { return float64(all[i].wall()) / float64(all[1].wall()) }

// bar says in what way the first command misses its bar against the second.
func bar(format string, all []series, most float64) []string {
	if got := quotient(all, 0); got > most {
		return []string{fmt.Sprintf(format, got, most)}
	}
	return nil
}
