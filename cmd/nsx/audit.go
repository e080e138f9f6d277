package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nsx/audit"
	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

type auditOptions struct {
	viewFlags
	all     bool
	explain bool
	targets []string
}

func newAudit(s streams) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit [TARGET…]",
		Short: "Find what isolates containers less than people think",
		Long: `Find containers, pods and machines that share the host's namespaces, have rights that
reach it, no filters, or its root or an engine's socket inside. A finding says what
whoever breaks in there gets; it may be on purpose. With targets, examine those
alone; --all examines services and other processes with namespaces of their own too.
` + targetHelp + `

Rules (--explain tells why each matters, and what to do):
` + rulesHelp() + `
Columns (* by default):
` + auditView.Help() + `
-o sarif writes what code scanners exchange (SARIF 2.1.0).

Exit status: 0 no findings, 1 it failed, 2 wrong usage, 3 findings, 4 partial under
--strict.`,
		Example: `  nsx audit
  nsx audit web --explain
  nsx audit --all --filter 'severity == high'
  nsx audit -o sarif > nsx.sarif`,
		ValidArgsFunction: completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.targets = args
			return runAudit(cmd.Context(), s, &o)
		},
	}
	o.add(cmd, auditView.Names())
	cmd.Flags().BoolVar(&o.all, "all", false, "examine services and others with own namespaces too")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "say why each rule that was met matters, and what to do")
	return cmd
}

func rulesHelp() string {
	var b strings.Builder
	for _, r := range audit.Rules() {
		fmt.Fprintf(&b, "    %-14s %s\n", r.Name, r.Severity)
	}
	return b.String()
}

const sarif = "sarif"

func runAudit(ctx context.Context, s streams, o *auditOptions) error {
	asSarif := o.format == sarif
	if asSarif {
		o.format = string(output.JSON)
	}
	if err := o.check(s, auditView); err != nil {
		return err
	}
	machine, err := inspect.Open(o.root)
	if err != nil {
		return err
	}
	report, err := audit.Examine(ctx, machine, audit.Options{Targets: o.targets, All: o.all})
	if err != nil {
		return err
	}
	rows := make([]auditRow, len(report.Findings))
	for i, f := range report.Findings {
		rows[i] = auditRow{f, i > 0 && report.Findings[i-1].PID == f.PID && o.Width > 0 && o.SortBy == "" && o.Filter == ""}
	}
	rows, err = auditView.Select(rows, o.Options)
	if err != nil {
		return usage(err)
	}
	report.Findings = report.Findings[:0]
	for _, r := range rows {
		report.Findings = append(report.Findings, r.Finding)
	}
	if err := o.show(s, report, rows, asSarif); err != nil {
		return err
	}
	return cmp.Or(o.partial(report.Complete), foundStatus(len(rows) > 0))
}

func (o *auditOptions) show(s streams, report audit.Report, rows []auditRow, asSarif bool) error {
	if asSarif {
		return output.WriteJSON(s.out, sarifOf(report), o.Width > 0)
	}
	head := schemaLine{"nsx/audit/1"}
	err := printRows(s.out, &o.viewFlags, auditView, rows, head, func() any {
		return struct {
			schemaLine
			audit.Report
		}{head, report}
	})
	if errors.Is(err, errNothing) { // which is good news
		err = nil
	}
	if err != nil || !o.Format.Tabular() {
		return err
	}
	if o.explain {
		if err := o.tellWhy(s, rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.err, o.summary(report, len(rows)))
	if !report.Complete {
		fmt.Fprintln(s.err, "what may not be read may be more: run as root")
	}
	return nil
}

func (o *auditOptions) summary(report audit.Report, found int) string {
	examined := words.Count(report.Examined, "container", "containers")
	if o.all || len(o.targets) > 0 {
		examined = words.Count(report.Examined, "set of processes", "sets of processes")
	}
	if found == 0 {
		return "no findings in " + examined
	}
	text := fmt.Sprintf("%s in %d of %s; %d clean", words.Count(found, "finding", "findings"), report.Examined-report.Clean, examined, report.Clean)
	if !o.explain {
		text += "; why they matter: --explain"
	}
	return text
}

// tellWhy explains the rules that were met.
func (o *auditOptions) tellWhy(s streams, rows []auditRow) error {
	var b strings.Builder
	for _, rule := range audit.Rules() {
		for _, r := range rows {
			if r.Rule == rule.Name {
				fmt.Fprintf(&b, "\n%s\n  %s\n", wrapped(rule.Name+": "+rule.Why, o.Width), rule.Next)
				break
			}
		}
	}
	_, err := s.out.WriteString(b.String())
	return err
}

// auditRow is a finding, perhaps below another one of the same container.
type auditRow struct {
	audit.Finding
	again bool
}

var auditView = &output.View[auditRow]{
	Columns: []output.Column[auditRow]{
		{Name: "name", Help: "whose it is, as a target", Cut: output.CutMiddle, Keep: 22, Value: func(r *auditRow) output.Cell {
			switch {
			case r.again:
				return output.Text("").Meaning(r.Name)
			case r.Name == "":
				return output.Text(fmt.Sprint(r.PID))
			}
			return output.Text(r.Name)
		}},
		{Name: "rule", Help: "which rule it meets", Value: func(r *auditRow) output.Cell {
			if r.Severity == audit.High {
				return output.Text(r.Rule).With(output.Red)
			}
			return output.Text(r.Rule).With(output.Yellow)
		}},
		{Name: "what", Help: "what was found", Cut: output.CutEnd, Value: func(r *auditRow) output.Cell { return output.Text(r.What) }},
		{Name: "severity", Help: "high: the host itself, or nearly so; medium", Value: func(r *auditRow) output.Cell { return output.Text(string(r.Severity)) }},
		{Name: "pid", Help: "the oldest process that meets it", Right: true, Value: func(r *auditRow) output.Cell { return output.Int(int64(r.PID)) }},
	},
	Default: []string{"name", "rule", "what"},
	Wide:    []string{"name", "pid", "rule", "severity", "what"},
	Name: func(r *auditRow) string {
		if r.Name == "" {
			return fmt.Sprint(r.PID)
		}
		return r.Name
	},
}
