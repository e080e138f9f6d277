package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"nsx/inspect"
)

// mountIsMnt takes --mount, the spelling of nsenter(1) and unshare(1), for --mnt.
func mountIsMnt(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if name == "mount" {
		name = "mnt"
	}
	return pflag.NormalizedName(name)
}

// nsenterWords spells the flags that args begin with as pflag wants them where
// nsenter(1) has it otherwise: -nFILE and -r/ are -n=FILE and -r=/, and --net
// that no target follows is -n. hasTarget says that TARGET was there before.
func nsenterWords(flags *pflag.FlagSet, args []string, hasTarget bool) ([]string, error) {
	var words []string
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		arg, rest := args[0], args[1:]
		name, long := strings.CutPrefix(arg, "--")
		var flag *pflag.Flag // what takes the next word
		if long {
			if flag = flags.Lookup(name); flag != nil && flag.NoOptDefVal != "" {
				flag = nil
			}
			hasTarget = hasTarget || strings.HasPrefix(name, "target=")
		} else {
			if err := refuseInteractive(arg, rest); err != nil {
				return nil, err
			}
			arg, flag = glued(flags, arg)
			hasTarget = hasTarget || flag == nil && strings.Contains(cluster(flags, arg), "t")
		}
		switch {
		case flag == nil:
			words, args = append(words, arg), rest
			continue
		case isType(flag) && !takesNext(rest, hasTarget) && (hasTarget || len(rest) > 0):
			words, args = append(words, "--of-target-"+flag.Name), rest
			continue
		case len(rest) == 0:
			return append(words, arg), nil // pflag says that something is missing
		case flag.Name == "target" && len(rest[0]) > 1 && rest[0][0] == '-':
			return nil, fmt.Errorf("flag needs an argument: %s, and %q is none", arg, rest[0])
		}
		hasTarget = hasTarget || flag.Name == "target"
		words, args = append(words, arg, rest[0]), rest[1:]
	}
	return append(words, args...), nil
}

func isType(flag *pflag.Flag) bool {
	_, err := inspect.ParseType(flag.Name)
	return err == nil
}

// takesNext says whether the word after a long flag of a type is its target. As
// long as there is no target that it could mean, any word is. Beside one, a word
// that could as well be CMD is not, unless "--" comes next.
func takesNext(rest []string, hasTarget bool) bool {
	if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return false
	}
	return !hasTarget || isTarget(rest[0]) || strings.Contains(rest[0], ":") || len(rest) > 1 && rest[1] == "--"
}

// isTarget says that a word cannot be meant for a command.
func isTarget(word string) bool {
	switch ref, err := inspect.ParseRef(word); {
	case err != nil, ref.Kind == inspect.RefName:
		return false
	case ref.Kind == inspect.RefFile:
		var st unix.Statfs_t
		err := unix.Statfs(word, &st)
		return err == nil && st.Type == unix.NSFS_MAGIC || strings.HasPrefix(word, "/proc/") || strings.HasPrefix(word, "/run/netns/")
	}
	return true
}

// cluster is the letters of a word such as -nut, without a value.
func cluster(flags *pflag.FlagSet, arg string) string {
	for i := 1; i < len(arg); i++ {
		if f := flags.ShorthandLookup(arg[i : i+1]); f == nil || f.NoOptDefVal == "" {
			return arg[1 : i+1]
		}
	}
	return arg[1:]
}

// glued puts = between a letter and the value that follows at once, where that
// cannot be more letters. The flag is the one that takes the next word, if any.
func glued(flags *pflag.FlagSet, arg string) (string, *pflag.Flag) {
	for i := 1; i < len(arg); i++ {
		flag, rest := flags.ShorthandLookup(arg[i:i+1]), arg[i+1:]
		switch {
		case flag == nil, flag.NoOptDefVal == "" && rest != "", strings.HasPrefix(rest, "="):
			return arg, nil
		case flag.NoOptDefVal == "":
			return arg, flag
		case flag.Value.Type() != "bool" && rest != "" && (!isLetter(rest[0]) || strings.Contains(rest, ":") && isTarget(rest)):
			return arg[:i+1] + "=" + rest, nil
		}
	}
	return arg, nil
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// refuseInteractive refuses -it, which is interactive and a terminal to docker
// and kubectl, and would be the ipc namespace alone here, with CMD on this host.
func refuseInteractive(arg string, rest []string) error {
	letters := strings.TrimRight(arg[1:], "0123456789")
	if strings.Trim(letters, "itd") != "" || !strings.Contains(letters, "i") || !strings.Contains(letters, "t") {
		return nil
	}
	target := arg[1+len(letters):]
	if target == "" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		target = rest[0]
	}
	if target == "" {
		target = "TARGET"
	}
	return fmt.Errorf("%s: -i is the ipc namespace here, and -t says whose: for a command or a shell in all namespaces, on a terminal, write nsx enter %s; for ipc alone, -i -t %s", arg, target, target)
}
