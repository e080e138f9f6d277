package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nsx/doctor"
	"nsx/output"
)

type doctorOptions struct {
	viewFlags
	checks []string
}

func newDoctor(s streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [CHECK…]",
		Short: "Tell what can work here, and what stands in the way",
		Long: `Tell what of namespaces, cgroups and containers can work on this machine, and what
stands in the way. Nothing is changed. A state is ok, NOTE (it works, with a
limit), NO (it does not work) or ? (what tells could not be read). What a NO or
NOTE means, and what to do, is told below the table.

Checks:
` + checksHelp() + `
Columns (* by default):
` + doctorView.Help() + `
Exit status: 0 no NO among them, 1 it failed, 2 wrong usage, 3 a NO.`,
		Example: `  nsx doctor
  nsx doctor userns apparmor-userns || echo no rootless containers here
  nsx doctor --root /host -o json`,
		ValidArgsFunction: completeList(doctor.Names()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.checks = args
			return runDoctor(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, doctorView.Names())
	return cmd
}

func checksHelp() string {
	var b strings.Builder
	for _, name := range doctor.Names() {
		fmt.Fprintf(&b, "    %-15s  %s\n", name, doctor.About(name))
	}
	return b.String()
}

func runDoctor(ctx context.Context, s streams, o *doctorOptions) error {
	if err := o.check(s, doctorView); err != nil {
		return err
	}
	findings, err := doctor.Examine(ctx, o.root, o.checks...)
	if errors.Is(err, doctor.ErrUsage) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if err := o.show(s, findings); err != nil {
		return err
	}
	has := func(state doctor.State) bool {
		return slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == state })
	}
	return cmp.Or(o.partial(!has(doctor.Unknown)), foundStatus(has(doctor.No)))
}

func (o *doctorOptions) show(s streams, findings []doctor.Finding) error {
	chosen, err := doctorView.Select(findings, o.Options)
	if err != nil {
		return usage(err)
	}
	head := schemaLine{"nsx/doctor/1"}
	err = printRows(s.out, &o.viewFlags, doctorView, chosen, head, func() any {
		return struct {
			schemaLine
			Checks []doctor.Finding `json:"checks"`
		}{head, chosen}
	})
	if err == nil && o.Format == output.Table && o.Columns == "" {
		err = o.explain(s, chosen)
	}
	return err
}

// explain tells causes and next steps: of what does not work, and of what works with a
// limit.
func (o *doctorOptions) explain(s streams, findings []doctor.Finding) error {
	var b strings.Builder
	for _, state := range []doctor.State{doctor.No, doctor.Note, doctor.Unknown} {
		for _, f := range findings {
			if f.State != state || f.Cause == "" && f.Next == "" {
				continue
			}
			fmt.Fprintf(&b, "\n%s\n", wrapped(f.Check+": "+f.Cause, o.Width))
			if f.Next != "" {
				fmt.Fprintf(&b, "  %s\n", output.Escape(f.Next))
			}
		}
	}
	_, err := s.out.WriteString(b.String())
	return err
}

// wrapped breaks a text between words, with two blanks before all lines but the first.
func wrapped(text string, width int) string {
	text = output.Escape(text)
	if width <= 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case at == 0:
		case at+1+n > width:
			b.WriteString("\n  ")
			at = 2
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// doctorView shows what was found.
var doctorView = &output.View[doctor.Finding]{
	Columns: []output.Column[doctor.Finding]{
		{Name: "check", Help: "what was looked at", Value: func(f *doctor.Finding) output.Cell { return output.Text(f.Check) }},
		{Name: "state", Help: "ok, NOTE, NO", Value: func(f *doctor.Finding) output.Cell {
			switch f.State {
			case doctor.No:
				return output.Text("NO").With(output.Red)
			case doctor.Note:
				return output.Text("NOTE").With(output.Yellow)
			case doctor.Unknown:
				return output.Unknown()
			}
			return output.Text(string(f.State))
		}},
		{Name: "what", Help: "what is there", Cut: output.CutEnd, Value: func(f *doctor.Finding) output.Cell { return output.Text(f.What) }},
		{Name: "cause", Help: "what that means", Cut: output.CutEnd, Value: func(f *doctor.Finding) output.Cell { return textCell(f.Cause) }},
		{Name: "next", Help: "what to do", Cut: output.CutEnd, Value: func(f *doctor.Finding) output.Cell { return textCell(f.Next) }},
	},
	Default: []string{"check", "state", "what"},
	Wide:    []string{"check", "state", "what", "cause", "next"},
	Name:    func(f *doctor.Finding) string { return f.Check },
}
