package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

func newCgroupTranslate(s streams) *cobra.Command {
	to, formula := 0, ""
	cmd := &cobra.Command{
		Use:   "translate KEY=VALUE…",
		Short: "Spell cgroup settings for the other version",
		Long: `Print settings in the other version's spelling, as KEY=VALUE, one a line, and on
stderr what is lost. What has no counterpart there, or one that means something
else, is an error that explains the choice. No cgroup is touched.`,
		Example: `  nsx cgroup translate memory.limit_in_bytes=1G memory.memsw.limit_in_bytes=2G
  nsx cgroup translate cpu.shares=512 --formula oci
  nsx cgroup translate cpu.max='50000 100000'`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("want KEY=VALUE, such as memory.max=1G")
			}
			f, err := parseFormula(formula)
			if err != nil {
				return usage(err)
			}
			if to < 0 || to > 2 {
				return usagef("--to: there is no cgroup version %d", to)
			}
			settings := make([]keys.Setting, 0, len(args))
			for _, word := range args {
				setting, err := keys.ParseSetting(word)
				if err != nil {
					return usage(err)
				}
				settings = append(settings, setting)
			}
			t, err := cgroupfs.Translate(keys.TranslateOptions{To: to, Formula: f}, settings...)
			if err != nil {
				return err
			}
			notes(s, t.Notes)
			for _, setting := range t.Settings {
				if _, err := fmt.Fprintln(s.out, setting); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the `VERSION` to translate to, 1 or 2 (default: the other one)")
	cmd.Flags().StringVar(&formula, "formula", "ratio", "shares to weights by `HOW`: ratio, oci, oci-old")
	complete(cmd, "to", cobra.FixedCompletions([]string{"1", "2"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "formula", cobra.FixedCompletions([]string{"ratio", "oci", "oci-old"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
