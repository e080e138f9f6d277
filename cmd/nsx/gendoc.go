//go:build gendoc

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"
)

// With the tag gendoc the program writes its manual pages instead of being nsx,
// so that what converts Markdown to troff stays out of nsx itself:
//
//	go run -tags gendoc ./cmd/nsx DIR
//
// It is an init function so that main.go need not know about it.
func init() {
	if err := writeManPages(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// writeManPages writes one page for each command. Their date is
// SOURCE_DATE_EPOCH, if it is set.
func writeManPages(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument: the directory for the pages")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	root := newRoot(streams{os.Stdin, os.Stdout, os.Stderr})
	root.DisableAutoGenTag = true
	return doc.GenManTree(root, &doc.GenManHeader{
		Section: "1",
		Source:  "nsx " + version,
		Manual:  "nsx",
	}, args[0])
}
