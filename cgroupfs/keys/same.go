package keys

import (
	"fmt"
	"strconv"

	"nsx/internal/words"
)

// same is the rule of a key that both versions have.
func same(key string, check func(value string) (string, error)) rule {
	return rule{[]string{key}, []string{key}, func(t *translator, in values) error {
		value, _, err := in.one(key)
		if err == nil && check != nil {
			value, err = check(value)
		}
		if err == nil {
			t.emit(key, value)
		}
		return err
	}}
}

// checkPIDs: 0 is a limit too, and -1 the kernel does not know here.
func checkPIDs(value string) (string, error) {
	if value == "max" || value == "-1" {
		return "max", nil
	}
	// PID_MAX_LIMIT of include/linux/threads.h.
	n, err := parseNumber("number of processes", value, 0, 4194304)
	return strconv.FormatInt(n, 10), err
}

// cpusetList writes a list as the kernel shows it. What "all" and "N" mean, the
// root of the hierarchy says; where there is none, the kernel will know.
func cpusetList(key string) rule {
	return rule{[]string{key}, []string{key}, func(t *translator, in values) error {
		value, _, err := in.one(key)
		if err != nil {
			return err
		}
		last := -1
		if t.m.Top != nil {
			last = LastOf(t.m.Top(key + ".effective"))
			if last < 0 {
				last = LastOf(t.m.Top(key))
			}
		}
		list, err := ParseCPUListUpTo(value, max(last, 0))
		if err != nil {
			return err
		}
		out := FormatCPUList(list)
		if _, err := ParseCPUList(value); err != nil && last < 0 {
			out = value
		}
		t.emit(key, out)
		return nil
	}}
}

// LastOf is the last number of a list that the kernel shows, -1 if there is none.
func LastOf(text string) int {
	list, err := ParseCPUList(text)
	if err != nil || len(list) == 0 {
		return -1
	}
	return list[len(list)-1]
}

func checkSwitch(value string) (string, error) {
	if value != "0" && value != "1" {
		return "", fmt.Errorf("%s: want 0 or 1: %w", words.Quote(value), invalid)
	}
	return value, nil
}

// cpusetPartition: a partition root owns its CPUs, as an exclusive v1 cpuset
// does among its siblings, and is a scheduling domain besides.
func cpusetPartition(t *translator, in values) error {
	exclusive, has1, err := in.one("cpuset.cpu_exclusive")
	partition, has2, err2 := in.one("cpuset.cpus.partition")
	if err == nil {
		err = err2
	}
	if err == nil {
		err = onlyOne("cpuset.cpu_exclusive", has1, "cpuset.cpus.partition", has2)
	}
	if err == nil && has1 {
		exclusive, err = checkSwitch(exclusive)
	}
	if err != nil {
		return err
	}
	switch {
	case has1 && t.to == 1:
		t.emit("cpuset.cpu_exclusive", exclusive)
		return nil
	case has2 && partition != "member" && partition != "root" && partition != "isolated":
		return fmt.Errorf("%s: want member, root or isolated: %w", words.Quote(partition), invalid)
	case has2 && t.to == 2:
		t.emit("cpuset.cpus.partition", partition)
		return nil
	case partition == "isolated":
		return fmt.Errorf("v1 cannot isolate a group alone; see cpuset.cpu_exclusive and, in its ancestors, cpuset.sched_load_balance: %w", unsupported)
	}
	t.note("cpuset.cpu_exclusive and cpuset.cpus.partition are alike, not equal: a partition is a scheduling domain of its own, and may turn out \"root invalid\"")
	if has1 {
		t.emit("cpuset.cpus.partition", map[string]string{"0": "member", "1": "root"}[exclusive])
	} else {
		t.emit("cpuset.cpu_exclusive", map[string]string{"member": "0", "root": "1"}[partition])
	}
	return nil
}

func freezerState(t *translator, in values) error {
	state, has1, err := in.one("freezer.state")
	freeze, has2, err2 := in.one("cgroup.freeze")
	if err == nil {
		err = err2
	}
	if err == nil {
		err = onlyOne("freezer.state", has1, "cgroup.freeze", has2)
	}
	if err != nil {
		return err
	}
	if has2 {
		if freeze, err = checkSwitch(freeze); err != nil {
			return err
		}
		state = map[string]string{"0": "THAWED", "1": "FROZEN"}[freeze]
	} else {
		switch state {
		case "FROZEN":
			freeze = "1"
		case "THAWED":
			freeze = "0"
		default:
			return fmt.Errorf("%s: want FROZEN or THAWED: %w", words.Quote(state), invalid)
		}
	}
	if has1 != (t.to == 1) {
		t.note("freezing is not the same: on v1 a frozen process cannot even be killed and shows state D, on v2 it can, and shows S")
	}
	if t.to == 1 {
		t.emit("freezer.state", state)
	} else {
		t.emit("cgroup.freeze", freeze)
	}
	return nil
}
