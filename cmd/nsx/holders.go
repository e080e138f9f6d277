package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

type holdersOptions struct {
	viewFlags
	word string
}

func newHolders(s streams) *cobra.Command {
	var o holdersOptions
	cmd := &cobra.Command{
		Use:   "holders TARGET|PATH|DEVICE",
		Short: "Show what keeps a namespace alive or a mount busy, and what lets go of it",
		Long: `Show all that keeps a namespace alive: processes and threads in it, descriptors and
sockets of others, bind mounts in every mount namespace, namespaces below it. Or for
a path, a block device or its number (8:17): every mount namespace that has it
mounted, what is mounted on it, and the processes with their root, working
directory, program or open files there, and loop devices. What a process has mapped
and closed is not looked at.

Each row has the command that lets go of it. It is only shown, never run; read it
before you do. Those that are long stand below the table.

` + targetHelp + `

Columns (* by default):
` + holdersView.Help() + `
Exit status: 0 done, 1 nothing holds it, 2 wrong usage, 4 partial under --strict.`,
		Example: `  nsx holders netns:blue            # why is it still there?
  nsx holders net:4026532704
  nsx holders /mnt/data             # umount says: target is busy
  nsx holders /dev/sdb1
  nsx holders /mnt/data -o json | jq -r '.holdings[].let_go'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one namespace, path or device, such as netns:blue or /mnt/data")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.word = args[0]
			return runHolders(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, holdersView.Names())
	return cmd
}

func runHolders(ctx context.Context, s streams, o *holdersOptions) error {
	if err := o.check(s, holdersView); err != nil {
		return err
	}
	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	h, err := machine.Holdings(ctx, o.word)
	if err != nil {
		return err
	}
	rows := make([]holdingRow, len(h.Holdings))
	for i := range rows {
		one := &h.Holdings[i]
		rows[i] = holdingRow{Holding: one, LetGo: letGo(h, one)}
	}
	err = o.print(s, h, rows)
	if errors.Is(err, errNothing) && len(rows) == 0 {
		err = nothingHolds(h)
	} else {
		for _, line := range holdersGaps(h) {
			fmt.Fprintln(s.err, output.Escape(line))
		}
	}
	if err == nil {
		err = o.partial(h.Complete)
	}
	return err
}

// print prints a line about what is held, the table, and below it the commands that
// had no room in it.
func (o *holdersOptions) print(s streams, h *inspect.Holdings, rows []holdingRow) error {
	var notes []string
	table := o.Format.Tabular() && o.Format != output.Name
	if table {
		var err error
		if rows, err = holdersView.Select(rows, o.Options); err != nil {
			return usage(err)
		}
		if o.Width > 0 && !o.NoTrunc {
			notes = noteLong(rows)
		}
		if len(rows) > 0 && !o.NoHeaders {
			if _, err := fmt.Fprintf(s.out, "%s\n\n", output.Escape(holdersTitle(h))); err != nil {
				return err
			}
		}
	}
	head := document{
		Schema: "nsx/holders/1", Host: h.Host, Kernel: h.Kernel, Complete: h.Complete, Unreadable: &h.Unreadable,
		ScannedAt: h.ScannedAt.Format("2006-01-02T15:04:05.000Z"),
	}
	err := show(s.out, &o.viewFlags, holdersView, rows, head, func(head document, rows []holdingRow) any {
		return struct {
			document
			Target    string             `json:"target"`
			Namespace *inspect.ID        `json:"namespace"`
			Initial   *bool              `json:"initial"`
			Names     []string           `json:"names"`
			Files     *inspect.HeldFiles `json:"files"`
			Holdings  []holdingRow       `json:"holdings"`
		}{head, h.Target, h.Namespace, h.Initial, h.Names, h.Files, rows}
	})
	if err == nil && len(notes) > 0 {
		_, err = fmt.Fprint(s.out, output.Escape(notes[0])+"\n"+lines(notes[1:]))
	}
	return err
}

func lines(texts []string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString(output.Escape(text) + "\n")
	}
	return b.String()
}

// longCommand is how long a command may be that stands in the table.
const longCommand = 30

// noteLong takes the commands that are too long out of the rows, and numbers them.
func noteLong(rows []holdingRow) []string {
	var notes []string
	number := map[string]int{}
	for i := range rows {
		command := rows[i].LetGo
		if len(command) <= longCommand {
			continue
		}
		n := number[command]
		if n == 0 {
			n = len(notes) + 1
			number[command] = n
			notes = append(notes, fmt.Sprintf("(%d) %s", n, command))
		}
		rows[i].note = fmt.Sprintf("%s (%d)", shortCommand(command), n)
	}
	return notes
}

// shortCommand is the word of a command that says what it does.
func shortCommand(command string) string {
	if _, inside, ok := strings.Cut(command, " -- "); ok {
		word, _, _ := strings.Cut(inside, " ")
		return word + " in it"
	}
	word, rest, _ := strings.Cut(command, " ")
	verb, _, _ := strings.Cut(rest, " ")
	if word == "umount" || word == "kill" {
		return word
	}
	return word + " " + verb
}

// holdersTitle says in a line what is held.
func holdersTitle(h *inspect.Holdings) string {
	if f := h.Files; f != nil {
		what := f.Device
		if f.Path != "" {
			what = f.Path + ", " + f.Device
		}
		if f.FSType != "" {
			what += " " + f.FSType
		}
		if f.Source != "" && f.Source != f.FSType && f.Source != "none" {
			what += " of " + f.Source
		}
		if f.Root != "/" {
			what += ", its " + f.Root
		}
		if f.NMounts == 0 {
			return what + ": mounted nowhere by itself"
		}
		return fmt.Sprintf("%s: %s in %s", what, words.Count(f.NMounts, "mount", "mounts"), words.Count(f.NMntNS, "mount namespace", "mount namespaces"))
	}
	text := strings.Join(append([]string{h.Namespace.String()}, h.Names...), ", netns:")
	n := 0
	for i := range h.Holdings {
		if h.Holdings[i].Kind == inspect.HoldsByProcess {
			n += len(h.Holdings[i].PIDs)
		}
	}
	switch {
	case h.Initial != nil && *h.Initial:
		return text + ": the machine booted with it, and it never ends"
	case n == 0:
		return text + ": no process is in it"
	}
	return text + ": " + words.Count(n, "process is", "processes are") + " in it"
}

// nothingHolds is the answer that there is nobody to be seen.
func nothingHolds(h *inspect.Holdings) error {
	what := h.Target
	if f := h.Files; f != nil && f.Path != "" && !f.MountPoint {
		what += " (no mount point here)"
	}
	text := "nothing that we see holds " + what
	if gaps := holdersGaps(h); len(gaps) > 0 {
		text += "; not looked at: " + strings.Join(gaps, "; ")
	}
	if h.Files != nil && strings.Contains(h.Files.Path, "/run/netns/") {
		text += "; it is the file of a network namespace that has gone: rm " + quoteArg(h.Files.Path)
	}
	return errors.New(text)
}

// holdersGaps are what was not looked at.
func holdersGaps(h *inspect.Holdings) []string {
	count := map[string]int{}
	var order []string
	for _, u := range h.Unreadable {
		key := u.What + " (" + u.Error + ")"
		if count[key]++; count[key] == 1 {
			order = append(order, key)
		}
	}
	var texts []string
	for _, key := range order {
		text := words.Count(count[key], "process's ", "processes' ") + key + " unreadable"
		if strings.Contains(key, "EACCES") && os.Geteuid() != 0 {
			text += ": run as root"
		}
		texts = append(texts, text)
	}
	return texts
}
