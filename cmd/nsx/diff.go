package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

type diffOptions struct {
	viewFlags
	a, b string
}

func newDiff(s streams) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two processes in isolation, rights and limits",
		Long: `Compare two targets: their namespaces, users, capabilities, seccomp filters, labels,
cgroups with the limits that bind, root and mounts. What differs is a row; of lists,
such as capabilities, each side shows what the other has not. What is the same, and
what could not be compared, is said below. Of several processes the oldest counts.
` + targetHelp + `

Two files that "nsx ls -o json" has written are compared as one machine at two times:
which namespaces and sets were born, died, or have other processes.

Columns:
` + differenceView("A", "B").Help() + `
Exit status: 0 nothing differs, 1 it failed, 2 wrong usage, 3 something differs, 4
partial under --strict.`,
		Example: `  nsx diff web db
  nsx diff self 5151 -o json | jq -r '.differences[].aspect'
  nsx ls --all -o json > before; …; nsx ls --all -o json > after; nsx diff before after`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("want two targets, or two files of nsx ls -o json")
			}
			return nil
		},
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.a, o.b = args[0], args[1]
			return runDiff(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, differenceView("A", "B").Names())
	return cmd
}

func runDiff(ctx context.Context, s streams, o *diffOptions) error {
	if err := o.resolve(s.out); err != nil {
		return err
	}
	before, isA, err := savedDocument(o.a)
	if err != nil {
		return err
	}
	after, isB, err := savedDocument(o.b)
	switch {
	case err != nil:
		return err
	case isA && isB:
		return o.changes(s, before, after)
	case isA != isB:
		return usagef("one of %q and %q is a saved document, and the other is not: want two of a kind", o.a, o.b)
	}
	return o.compare(ctx, s)
}

func (o *diffOptions) compare(ctx context.Context, s streams) error {
	view := differenceView(o.a, o.b)
	if err := view.Check(o.Options); err != nil {
		return usage(err)
	}
	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	var profiles [2]*inspect.Profile
	for i, word := range []string{o.a, o.b} {
		if profiles[i], err = machine.Profile(ctx, word); err != nil {
			return err
		}
		if profiles[i].Process == nil {
			return fmt.Errorf("%s has no process to compare", word)
		}
	}
	c := inspect.Compare(profiles[0], profiles[1])
	chosen, err := view.Select(c.Differences, o.Options)
	if err != nil {
		return usage(err)
	}
	complete := len(c.Unknown) == 0
	if err := printDiff(s, &o.viewFlags, view, chosen, struct {
		diffHead
		inspect.Comparison
	}{diffHead{"nsx/diff/1", o.a, o.b, complete}, c}); err != nil {
		return err
	}
	if o.Format == output.Table {
		if err := o.tellRest(s, c); err != nil {
			return err
		}
	}
	return o.status(len(c.Differences), complete)
}

// diffHead is the head of the documents, which have what follows from its kind.
type diffHead struct {
	Schema   string `json:"schema"`
	A        string `json:"a"`
	B        string `json:"b"`
	Complete bool   `json:"complete"`
}

// printDiff prints what differs, if anything does. Nothing is an answer.
func printDiff[T any](s streams, f *viewFlags, view *output.View[T], chosen []T, whole any) error {
	err := printRows(s.out, f, view, chosen, schemaLine{"nsx/diff/1"}, func() any { return whole })
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// tellRest says what does not differ, and what could not be compared.
func (o *diffOptions) tellRest(s streams, c inspect.Comparison) error {
	var b strings.Builder
	if len(c.Differences) > 0 {
		b.WriteByte('\n')
	}
	same := "same: " + strings.Join(c.Same, ", ")
	if len(c.Differences) == 0 {
		same = "same in everything that was compared: " + strings.Join(c.Same, ", ")
	}
	b.WriteString(wrapped(same, o.Width) + "\n")
	if len(c.Unknown) > 0 {
		b.WriteString(wrapped("not compared, since it may not be read: "+strings.Join(c.Unknown, ", "), o.Width) + "\n")
	}
	_, err := s.out.WriteString(b.String())
	return err
}

func (o *diffOptions) status(found int, complete bool) error {
	return cmp.Or(o.partial(complete), foundStatus(found > 0))
}

// maxDocument bounds a saved document.
const maxDocument = 256 << 20

// savedDocument reads a file that nsx ls wrote; false if the word is no file with JSON.
func savedDocument(word string) (*inspect.Snapshot, bool, error) {
	info, err := os.Stat(word)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false, nil
	}
	if info.Size() > maxDocument {
		return nil, false, fmt.Errorf("%s has %d bytes: more than %d are no document of nsx ls", word, info.Size(), maxDocument)
	}
	text, err := os.ReadFile(word)
	if err != nil {
		return nil, false, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil, false, nil
	}
	var head struct {
		Schema string `json:"schema"`
	}
	var snapshot inspect.Snapshot
	if err = json.Unmarshal(text, &head); err == nil {
		err = json.Unmarshal(text, &snapshot)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s is no document of nsx ls -o json: %w", word, err)
	}
	if head.Schema != "nsx/ls/1" {
		return nil, false, fmt.Errorf("%s is no document of nsx ls -o json (its schema is %s)", word, words.Quote(head.Schema))
	}
	return &snapshot, true, nil
}

func differenceView(a, b string) *output.View[inspect.Difference] {
	side := func(text string) output.Cell {
		if text == "" {
			return output.None()
		}
		return output.Text(text)
	}
	return &output.View[inspect.Difference]{
		Columns: []output.Column[inspect.Difference]{
			{Name: "aspect", Help: "in what they differ", Value: func(d *inspect.Difference) output.Cell { return output.Text(d.Aspect) }},
			{Name: "a", Title: a, Help: "what the first has", Cut: output.CutMiddle, Value: func(d *inspect.Difference) output.Cell { return side(d.A) }},
			{Name: "b", Title: b, Help: "what the second has", Cut: output.CutMiddle, Value: func(d *inspect.Difference) output.Cell { return side(d.B) }},
		},
		Name: func(d *inspect.Difference) string { return d.Aspect },
	}
}
