package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nsx/enter"
	"nsx/inspect"
)

// mapOptions are run's flags about who is who in a new user namespace.
type mapOptions struct {
	root, current, auto, subIDs bool
	user, group                 string
	users, groups               []string
	owner                       string
}

func (o *mapOptions) add(flags *pflag.FlagSet, making *enter.New) {
	flags.BoolVarP(&o.root, "map-root-user", "r", false, "be root inside; implies -U")
	flags.BoolVarP(&o.current, "map-current-user", "c", false, "be yourself inside; implies -U")
	flags.StringVar(&o.user, "map-user", "", "be `USER` inside; implies -U")
	flags.StringVar(&o.group, "map-group", "", "be `GROUP` inside; implies -U")
	flags.StringArrayVar(&o.users, "map-users", nil, "map users `IN:OUT:COUNT`, auto, subids, all; implies -U")
	flags.StringArrayVar(&o.groups, "map-groups", nil, "map groups `IN:OUT:COUNT`, auto, subids, all; implies -U")
	flags.BoolVar(&o.auto, "map-auto", false, "map the ids granted to you, from 0 up; implies -U")
	flags.BoolVar(&o.subIDs, "map-subids", false, "map the ids granted to you to themselves; implies -U")
	flags.StringVar(&making.Setgroups, "setgroups", "", "`allow` or deny setgroups(2) inside")
	flags.StringVar(&o.owner, "owner", "", "make `USER:GROUP` its owner; implies -U")
}

func (o *mapOptions) complete(cmd *cobra.Command) {
	words := cobra.FixedCompletions([]string{"auto", "subids", "all"}, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "map-users", words)
	complete(cmd, "map-groups", words)
	complete(cmd, "setgroups", cobra.FixedCompletions([]string{"allow", "deny"}, cobra.ShellCompDirectiveNoFileComp))
}

// settle makes the id maps. It says whether a user namespace is asked for.
func (o *mapOptions) settle(making *enter.New) (implied bool, err error) {
	if o.root && o.current {
		return false, errors.New("-r and -c exclude each other: you are either root inside or yourself")
	}
	if o.owner != "" {
		name, group, both := strings.Cut(o.owner, ":")
		if !both {
			return false, fmt.Errorf("--owner: %q: want USER:GROUP", o.owner)
		}
		uid, err := parseName("--owner", name, userID)
		if err != nil {
			return false, err
		}
		gid, err := parseName("--owner", group, groupID)
		if err != nil {
			return false, err
		}
		making.Owner = &enter.Owner{UID: uid, GID: gid}
	}
	if o.auto {
		o.users, o.groups = append(o.users, "auto"), append(o.groups, "auto")
	}
	if o.subIDs {
		o.users, o.groups = append(o.users, "subids"), append(o.groups, "subids")
	}
	users := idWords{"--map-users", "/etc/subuid", "/proc/self/uid_map"}
	groups := idWords{"--map-groups", "/etc/subgid", "/proc/self/gid_map"}
	if making.UIDs, err = o.single("--map-user", o.user, userID, os.Geteuid()); err == nil {
		making.UIDs, err = users.add(making.UIDs, o.users)
	}
	if err != nil {
		return false, err
	}
	if making.GIDs, err = o.single("--map-group", o.group, groupID, os.Getegid()); err == nil {
		making.GIDs, err = groups.add(making.GIDs, o.groups)
	}
	return len(making.UIDs)+len(making.GIDs) > 0 || making.Owner != nil || making.Setgroups != "", err
}

// single maps our own id; to none without a flag that says so.
func (o *mapOptions) single(flag, word string, byName func(string) (string, error), own int) (inspect.IDMap, error) {
	r := inspect.IDRange{Outside: uint32(own), Count: 1}
	switch {
	case word != "":
		var err error
		if r.Inside, err = parseName(flag, word, byName); err != nil {
			return nil, err
		}
	case o.current:
		r.Inside = r.Outside
	case !o.root:
		return nil, nil
	}
	return inspect.IDMap{r}, nil
}

// parseName reads a user or group, by number or name.
func parseName(flag, word string, byName func(string) (string, error)) (uint32, error) {
	number := word
	if word == "" || word[0] < '0' || word[0] > '9' {
		var err error
		if number, err = byName(word); err != nil {
			return 0, fmt.Errorf("%s: %q: %w", flag, word, err)
		}
	}
	id, _, err := parseID(flag, number)
	if err != nil {
		return 0, err
	}
	return *id, nil
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", errors.New("there is no such user")
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", errors.New("there is no such group")
	}
	return g.Gid, nil
}

// idWords is what the words of --map-users or --map-groups are about.
type idWords struct {
	flag    string
	granted string // subuid(5), subgid(5)
	own     string // the map of our own user namespace
}

// add adds the words' ranges to a map of one id or none, around that.
func (w idWords) add(m inspect.IDMap, words []string) (inspect.IDMap, error) {
	single := m
	for _, word := range words {
		ranges, err := w.parse(word)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.flag, err)
		}
		for _, r := range ranges {
			if len(single) > 0 {
				m = append(m, around(r, single[0])...)
			} else {
				m = append(m, r)
			}
		}
	}
	return m, nil
}

// parse reads INSIDE:OUTSIDE:COUNT, or auto and subids: the ids granted to the
// user, from 0 up or as they are; or all: those of our own user namespace.
func (w idWords) parse(word string) (inspect.IDMap, error) {
	switch word {
	case "auto", "subids":
		name := strconv.Itoa(os.Geteuid())
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		r, err := enter.SubIDs(w.granted, name, os.Geteuid())
		if word == "subids" {
			r.Inside = r.Outside
		}
		return inspect.IDMap{r}, err
	case "all":
		text, err := os.ReadFile(w.own)
		if err != nil {
			return nil, err
		}
		m, err := inspect.ParseIDMap(string(text))
		for i := range m {
			m[i].Outside = m[i].Inside
		}
		return m, err
	}
	var n [3]uint32
	fields := strings.Split(word, ":")
	for i, field := range fields {
		v, err := strconv.ParseUint(field, 10, 32)
		if err != nil || len(fields) != len(n) {
			return nil, fmt.Errorf("%q: want INSIDE:OUTSIDE:COUNT, or auto, subids, all", word)
		}
		n[i] = uint32(v)
	}
	if n[2] == 0 {
		return nil, fmt.Errorf("%q maps no id: the count is 0", word)
	}
	return inspect.IDMap{{Inside: n[0], Outside: n[1], Count: n[2]}}, nil
}

// around is a range without the id that is mapped already, inside and outside, as
// unshare(1) has it: the ids that are left are mapped in their order.
func around(r, single inspect.IDRange) (m inspect.IDMap) {
	inside, outside := without(r.Inside, r.Count, single.Inside), without(r.Outside, r.Count, single.Outside)
	for len(inside) > 0 && len(outside) > 0 {
		in, out := &inside[0], &outside[0]
		n := min(in.count, out.count)
		if n > 0 {
			m = append(m, inspect.IDRange{Inside: in.first, Outside: out.first, Count: n})
		}
		for _, rest := range []*[]idSpan{&inside, &outside} {
			span := &(*rest)[0]
			span.first, span.count = span.first+n, span.count-n
			if span.count == 0 {
				*rest = (*rest)[1:]
			}
		}
	}
	return m
}

type idSpan struct{ first, count uint32 }

// without is the ids from first on but for one.
func without(first, count, id uint32) []idSpan {
	if id < first || id-first >= count {
		return []idSpan{{first, count}}
	}
	return []idSpan{{first, id - first}, {id + 1, first + count - id - 1}}
}
