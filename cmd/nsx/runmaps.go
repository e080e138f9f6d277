package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nsx/enter"
	"nsx/inspect"
)

// mapOptions are run's flags about who is who in a new user namespace.
type mapOptions struct {
	user, group   string   // what our own ids are inside: a number, a name, ownID
	users, groups []string // ranges
	owner         string
}

// ownID is the word for an id that stays the same inside; nobody is called that.
const ownID = ":own"

func (o *mapOptions) add(flags *pflag.FlagSet, making *enter.Unshare) {
	// The last of these counts, as in unshare(1).
	addSwitch(flags, "map-root-user", "r", "be root inside; implies -U", func() { o.user, o.group = "0", "0" })
	addSwitch(flags, "map-current-user", "c", "be yourself inside; implies -U", func() { o.user, o.group = ownID, ownID })
	flags.StringVar(&o.user, "map-user", "", "be `USER` inside; implies -U")
	flags.StringVar(&o.group, "map-group", "", "be `GROUP` inside; implies -U")
	flags.StringArrayVar(&o.users, "map-users", nil, "map users `IN:OUT:COUNT`, auto, subids, all; implies -U")
	flags.StringArrayVar(&o.groups, "map-groups", nil, "map groups `IN:OUT:COUNT`, auto, subids, all; implies -U")
	both := func(word string) func() {
		return func() { o.users, o.groups = append(o.users, word), append(o.groups, word) }
	}
	addSwitch(flags, "map-auto", "", "map the ids granted to you, from 0 up; implies -U", both("auto"))
	addSwitch(flags, "map-subids", "", "map the ids granted to you to themselves; implies -U", both("subids"))
	flags.StringVar(&making.Setgroups, "setgroups", "", "`allow` or deny setgroups(2) inside")
	flags.StringVar(&o.owner, "owner", "", "make `USER:GROUP` its owner; implies -U")
}

// addSwitch adds a switch that does something where it stands among the others.
func addSwitch(flags *pflag.FlagSet, name, letter, help string, do func()) {
	flags.BoolFuncP(name, letter, help, func(word string) error {
		on, err := strconv.ParseBool(word)
		if on {
			do()
		}
		return err
	})
}

func (o *mapOptions) complete(cmd *cobra.Command) {
	words := cobra.FixedCompletions([]string{"auto", "subids", "all"}, cobra.ShellCompDirectiveNoFileComp)
	complete(cmd, "map-users", words)
	complete(cmd, "map-groups", words)
	complete(cmd, "setgroups", cobra.FixedCompletions([]string{"allow", "deny"}, cobra.ShellCompDirectiveNoFileComp))
}

// settle makes the id maps around the caller. It says whether a user namespace is
// asked for.
func (o *mapOptions) settle(making *enter.Unshare, caller enter.Caller) (implied bool, err error) {
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
		making.Owner = &enter.IDs{UID: uid, GID: gid}
	}
	users := idKind{"--map-user", "--map-users", caller.UID, userID, "/etc/subuid", caller.UIDs, caller.Joined}
	if making.UIDs, err = users.idMap(o.user, o.users); err != nil {
		return false, err
	}
	groups := idKind{"--map-group", "--map-groups", caller.GID, groupID, "/etc/subgid", caller.GIDs, caller.Joined}
	making.GIDs, err = groups.idMap(o.group, o.groups)
	return len(making.UIDs)+len(making.GIDs) > 0 || making.Owner != nil || making.Setgroups != "", err
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

// idKind is what differs between users and groups.
type idKind struct {
	one, many string // the flags
	own       uint32 // the caller's id
	byName    func(string) (string, error)
	granted   string        // subuid(5), subgid(5)
	all       inspect.IDMap // of the user namespace that the new one is made in
	joined    bool          // that is not ours
}

// idMap maps our own id as one word says, and the ranges that the words mean
// around that.
func (k idKind) idMap(one string, words []string) (m inspect.IDMap, err error) {
	single := inspect.IDRange{Outside: k.own, Count: 1}
	switch one {
	case "":
		single.Count = 0
	case ownID:
		single.Inside = single.Outside
	default:
		if single.Inside, err = parseName(k.one, one, k.byName); err != nil {
			return nil, err
		}
	}
	if single.Count > 0 {
		m = inspect.IDMap{single}
	}
	for _, word := range words {
		ranges, err := k.parse(word)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.many, err)
		}
		for _, r := range ranges {
			switch {
			case single.Count == 0:
				m = append(m, r)
			case word == "auto":
				m = append(m, r.Beside(single)...)
			default:
				m = append(m, r.Around(single)...)
			}
		}
	}
	return m, nil
}

// parse reads INSIDE:OUTSIDE:COUNT, or OUTSIDE,INSIDE,COUNT as unshare(1) had it
// before util-linux 2.39 and still takes it; or auto and subids: the ids granted to
// the user, from 0 up or as they are; or all that there are.
func (k idKind) parse(word string) (inspect.IDMap, error) {
	switch word {
	case "auto", "subids":
		if k.joined {
			return nil, fmt.Errorf("%s means ids of this user namespace, which are others in the one that is joined: map them by number, or all", word)
		}
		name := strconv.Itoa(os.Geteuid())
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
		r, err := enter.SubIDs(k.granted, name, os.Geteuid())
		if word == "subids" {
			r.Inside = r.Outside
		}
		return inspect.IDMap{r}, err
	case "all":
		m := slices.Clone(k.all)
		for i := range m {
			m[i].Outside = m[i].Inside
		}
		return m, nil
	}
	var n [3]uint32
	fields := strings.Split(word, ":")
	if strings.Contains(word, ",") {
		if fields = strings.Split(word, ","); len(fields) == len(n) {
			fields[0], fields[1] = fields[1], fields[0]
		}
	}
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
