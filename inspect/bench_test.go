package inspect

import (
	"fmt"
	"slices"
	"testing"

	"nsx/internal/testkit"
)

// BenchmarkScan reads 1,000 real processes in 50 sets of namespaces, besides
// those of the machine: copies on a disk would cost something else.
func BenchmarkScan(b *testing.B) {
	testkit.RequireNS(b, testkit.AllNS...)
	crowd := testkit.Crowd(b, testkit.CrowdConfig{N: 1000, Every: 20, New: testkit.AllNS})
	for _, c := range []struct {
		name    string
		options Options
	}{
		{"Bare", Options{}},
		{"Relations", Options{Relations: true}},
		{"Cgroups", Options{Cgroups: true}},
		{"Leaders", Options{Details: LeaderDetails}},
		{"List", Options{Relations: true, Binds: true, Details: LeaderDetails}}, // as nsx ls does
		{"All", Options{Relations: true, Cgroups: true, Details: AllDetails, Holders: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := Scan(b.Context(), c.options)
				if err != nil || len(s.Processes) < crowd.N {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGroup groups processes in sets of 20.
func BenchmarkGroup(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			processes := syntheticProcesses(n)
			b.ReportAllocs()
			for b.Loop() {
				if list, _ := newGrouping(processes).finish(false); len(list) != n/20*NumTypes {
					b.Fatalf("%d namespaces", len(list))
				}
			}
		})
	}
}

// syntheticProcesses are families of 20 with namespaces of their own.
func syntheticProcesses(n int) []Process {
	processes := make([]Process, n)
	for i := range processes {
		p := &processes[i]
		*p = Process{PID: i + 1, PPID: i/20*20 + 1, StartTicks: uint64(i), State: 'S', NumThreads: 1}
		if i%20 == 0 {
			p.PPID = 0
		}
		for _, t := range Types {
			p.NS[t] = 4026532000 + uint64(i/20*NumTypes) + uint64(t)
		}
	}
	return processes
}

func BenchmarkParseLink(b *testing.B) {
	text := []byte("cgroup:[4026531835]")
	b.ReportAllocs()
	for b.Loop() {
		if inode, ok := parseLink(text, Cgroup); !ok || inode != 4026531835 {
			b.Fatal(inode, ok)
		}
	}
}

func BenchmarkParseCmdline(b *testing.B) {
	text := slices.Concat([]byte("/usr/bin/web"), []byte{0}, []byte("--port"), []byte{0}, []byte("8080"), []byte{0})
	b.ReportAllocs()
	for b.Loop() {
		if args := parseCmdline(text); len(args) != 3 {
			b.Fatal(args)
		}
	}
}
