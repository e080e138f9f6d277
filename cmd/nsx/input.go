package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"sync"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// maxInput is how much is read of targets on standard input.
const maxInput = 1 << 20

// firstWord is a line's first number or word: what stands before it, such as the
// bars of a table, is none.
var firstWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\pL\pN/.][^\s|,;]*`) })

// withInput puts what standard input names in the place of the target "-". What can
// be no target there, as a word of a header, is left out; listed says that there was
// a "-".
func withInput(ctx context.Context, in *os.File, targets []string) (list []string, listed bool, err error) {
	i := slices.Index(targets, "-")
	if i < 0 {
		return targets, false, nil
	}
	if slices.Contains(targets[i+1:], "-") {
		return nil, false, usagef("- is there twice, and there is one standard input")
	}
	text, err := readInput(ctx, in)
	if err != nil {
		return nil, false, fmt.Errorf("reading targets from standard input: %w", err)
	}
	var read []string
	for line := range bytes.Lines(text) {
		word := string(firstWord().Find(line))
		if _, err := inspect.ParseRef(word); err == nil && !slices.Contains(read[max(0, len(read)-1):], word) {
			read = append(read, word)
		}
	}
	list = slices.Concat(targets[:i], read, targets[i+1:])
	if len(list) == 0 {
		return nil, true, fmt.Errorf("standard input names no targets: %w", errNothing)
	}
	return list, true, nil
}

// readInput does not outlive ctx, which a read of a terminal or pipe may.
func readInput(ctx context.Context, in *os.File) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if len(r.text) > maxInput {
			return nil, fmt.Errorf("there is more than %d bytes", maxInput)
		}
		return r.text, r.err
	}
}

// noteMissing says which of the targets on standard input are not there.
func noteMissing(w io.Writer, match inspect.Match) {
	const most = 3
	for _, err := range match.Missing[:min(len(match.Missing), most)] {
		fmt.Fprintln(w, output.Escape(err.Error()))
	}
	if more := len(match.Missing) - most; more > 0 {
		fmt.Fprintf(w, "%s more of standard input cannot be seen\n", words.Count(more, "target", "targets"))
	}
}
