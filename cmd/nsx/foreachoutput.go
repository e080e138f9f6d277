package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nsx/enter"
	"nsx/output"
)

// What is kept of commands' output, which may be endless: so much of each stream,
// and so much of all that is kept at the same time. The rest is dropped, and that
// is said.
const (
	keptOfStream = 4 << 20
	keptOfAll    = 64 << 20
)

// What a command has left behind may hold its standard streams for ever. When it
// has ended, what is there is read, until nothing comes for a while or it has taken
// too long: docker exec gives 2 seconds too.
const (
	leftSilence = 250 * time.Millisecond
	leftLimit   = 2 * time.Second
)

// runPiped runs a command with pipes as its output, and copies what it prints. An
// error of writing it does not end the command, but closes its pipe. The pipes are
// ours and not the Cmd's, which knows no silence: its WaitDelay is the same for all.
func runPiped(cmd *enter.Cmd, stdout, stderr io.Writer) (err, writing error) {
	var readers, writers [2]*os.File
	var errs [2]error
	var copying sync.WaitGroup
	ended := make(chan struct{})
	for i, to := range []io.Writer{stdout, stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			close(ended)
			return err, nil
		}
		readers[i], writers[i] = r, w
		defer w.Close()
		copying.Go(func() {
			defer r.Close()
			errs[i] = copyUntil(ended, r, to)
		})
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	err = cmd.Run()
	for _, w := range writers {
		w.Close()
	}
	close(ended)
	for _, r := range readers {
		_ = r.SetReadDeadline(time.Now()) // wakes it
	}
	copying.Wait()
	return err, errors.Join(errs[:]...)
}

// copyUntil copies what comes out of a pipe until nobody has its other end any
// more, or until what was there has been read after the end.
func copyUntil(ended <-chan struct{}, r *os.File, w io.Writer) error {
	var limit time.Time
	for buf := make([]byte, 32<<10); ; {
		n, err := r.Read(buf)
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !limit.IsZero()) {
			return nil
		}
		select {
		case <-ended:
			if limit.IsZero() {
				limit = time.Now().Add(leftLimit)
			}
			if time.Now().After(limit) {
				return nil
			}
			_ = r.SetReadDeadline(time.Now().Add(leftSilence))
		default:
		}
	}
}

// keeper keeps output, up to its bounds.
type keeper struct {
	left *atomic.Int64 // of what all may keep together
	text []byte
	cut  bool
}

func (k *keeper) Write(b []byte) (int, error) {
	n := min(len(b), keptOfStream-len(k.text))
	if left := k.left.Add(-int64(n)); left < 0 {
		k.left.Add(int64(n))
		n = 0
	}
	k.text = append(k.text, b[:n]...)
	k.cut = k.cut || n < len(b)
	return len(b), nil
}

// release lets others have the room.
func (k *keeper) release() {
	k.left.Add(int64(len(k.text)))
	k.text = nil
}

// prefixer begins every line with a name. A line is written when it is complete,
// or when it gets too long to be kept.
type prefixer struct {
	to     io.Writer
	prefix string
	mu     *sync.Mutex // of the terminal, where two of them may write

	kept   []byte
	inLine bool
}

// longLine is how much of a line is kept until it is complete.
const longLine = 64 << 10

func newPrefixer(to io.Writer, name string, mu *sync.Mutex) *prefixer {
	return &prefixer{to: to, prefix: output.Escape(name) + ": ", mu: mu}
}

func (p *prefixer) Write(b []byte) (int, error) {
	p.kept = append(p.kept, b...)
	end := bytes.LastIndexByte(p.kept, '\n') + 1
	if len(p.kept)-end > longLine {
		end = len(p.kept)
	}
	if end == 0 {
		return len(b), nil
	}
	if err := p.write(p.kept[:end]); err != nil {
		return 0, err
	}
	p.kept = append(p.kept[:0], p.kept[end:]...)
	return len(b), nil
}

func (p *prefixer) write(lines []byte) error {
	var out []byte
	for line := range bytes.Lines(lines) {
		if !p.inLine {
			out = append(out, p.prefix...)
		}
		out = append(out, line...)
		p.inLine = line[len(line)-1] != '\n'
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.to.Write(out)
	return err
}

// end completes the last line.
func (p *prefixer) end() error {
	if !p.inLine && len(p.kept) == 0 {
		return nil
	}
	return p.write(append(p.kept, '\n'))
}

// copyTo writes text in pieces: a prefix to each line may make much of it.
func copyTo(w io.Writer, text string) error {
	for len(text) > 0 {
		n := min(len(text), 32<<10)
		if _, err := io.WriteString(w, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// wasCut says what was dropped of a job's output.
func (j *job) wasCut() string {
	switch {
	case !j.StdoutCut && !j.StderrCut:
		return ""
	case !j.StderrCut:
		return fmt.Sprintf("standard output cut after %d bytes", len(j.Stdout))
	case !j.StdoutCut:
		return fmt.Sprintf("standard error cut after %d bytes", len(j.Stderr))
	}
	return fmt.Sprintf("output cut after %d bytes, standard error after %d", len(j.Stdout), len(j.Stderr))
}
