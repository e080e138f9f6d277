// Package output shows data to people and to programs: as a table, a tree or a
// page that fits the terminal, as JSON, NDJSON or YAML, or as bare names. It
// knows nothing about what the rows mean.
//
// A command describes its row type once, in a [View]: which columns there are
// and how a cell is made from a row. The flags that a user gave arrive in an
// [Options]. Then
//
//	if err := view.Check(opts); err != nil { … wrong usage, before any work … }
//	rows := …
//	err := view.Print(os.Stdout, rows, opts)
//
// prints a table, and
//
//	rows, err := view.Select(rows, opts)
//	err = output.WriteJSON(os.Stdout, document{…, Rows: rows}, onTerminal)
//
// prints the same selection as a document. Documents are made from the data,
// never from the table.
//
// Whatever is printed is composed in memory and written once, so a failing
// writer is an error and never half noticed. That bounds the size of what can
// be shown by memory, which suits a process list and not a log.
//
// No text from outside reaches the writer raw: see [Escape] for tables and
// trees; documents escape the same characters in their own syntax, and read back
// as the same text. Only bytes that are not valid UTF-8 do not: no document can
// hold them, so each becomes U+FFFD, the replacement character, as in
// [encoding/json]. A table shows such bytes as \xff.
package output
