package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// sample is one run of a program, from fork to exit.
type sample struct {
	wall time.Duration
	cpu  time.Duration // user and system
	rss  int64         // peak, KiB
}

// series is the samples of one command.
type series []sample

func (s series) wall() time.Duration {
	return median(s, func(s sample) time.Duration { return s.wall })
}

func (s series) cpu() time.Duration { return median(s, func(s sample) time.Duration { return s.cpu }) }
func (s series) rss() int64         { return median(s, func(s sample) int64 { return s.rss }) }

func (s series) span() (least, most time.Duration) {
	byWall := func(a, b sample) int { return int(a.wall - b.wall) }
	return slices.MinFunc(s, byWall).wall, slices.MaxFunc(s, byWall).wall
}

func median[V int64 | time.Duration](s series, value func(sample) V) V {
	values := make([]V, len(s))
	for i := range s {
		values[i] = value(s[i])
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// measure runs each command once to warm up and then runs times, in turns, so
// that whatever else happens on the machine hits all of them alike.
func measure(commands [][]string, runs int) ([]series, error) {
	all := make([]series, len(commands))
	for round := range runs + 1 {
		for i, command := range commands {
			s, err := once(command)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i] = append(all[i], s)
			}
		}
	}
	return all, nil
}

// once runs a command with its output to /dev/null. That it works at all is
// for the tests to say, but a command that fails is not worth timing.
func once(command []string) (sample, error) {
	cmd := exec.Command(command[0], command[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	err := cmd.Run()
	wall := time.Since(begin)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(stderr.String()))
	}
	// On Linux ru_maxrss is in KiB: getrusage(2). Until it calls exec a child
	// has its parent's pages, so no peak below ours can be seen; ours is small.
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		wall: wall,
		cpu:  cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		rss:  usage.Maxrss,
	}, nil
}
