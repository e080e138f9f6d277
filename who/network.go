package who

import (
	"errors"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"nsx/inspect"
	"nsx/inspect/network"
)

// atHome is an interface with an address.
type atHome struct {
	network int
	at      int
}

// readNetworks reads all network namespaces.
func (a *asker) readNetworks() error {
	list, gaps, err := a.machine.Networks(a.ctx, a.snapshot)
	if errors.Is(err, errors.ErrUnsupported) {
		a.unsupported, a.report.Unsupported, err = true, true, nil
	}
	if err != nil {
		return err
	}
	a.networks, a.report.Networks, a.report.Gaps = list, len(list), gaps
	a.byNetns = make(map[uint64]int, len(list))
	a.byAddress = map[string][]atHome{}
	for n := range list {
		a.byNetns[list[n].Inode] = n
		for at := range list[n].Interfaces {
			for _, address := range list[n].Interfaces[at].Addresses {
				key := address.Addr().Unmap().String()
				a.byAddress[key] = append(a.byAddress[key], atHome{n, at})
			}
		}
	}
	return nil
}

// interfaces answers for if:NAME and for MAC addresses, which several may have.
func (a *asker) interfaces(q question) {
	if q.mac == "" {
		a.named(q, q.name)
		return
	}
	for n := range a.networks {
		for at := range a.networks[n].Interfaces {
			if i := &a.networks[n].Interfaces[at]; i.MAC == q.mac {
				a.interfaceOf(q, n, i)
			}
		}
	}
}

// named answers for the interfaces with a name, in which * may stand for any part, and
// says how many there are.
func (a *asker) named(q question, name string) (count int) {
	for n := range a.networks {
		for at := range a.networks[n].Interfaces {
			i := &a.networks[n].Interfaces[at]
			if matches(name, i.Name) || slices.ContainsFunc(i.AltNames, func(alt string) bool { return matches(name, alt) }) {
				a.interfaceOf(q, n, i)
				count++
			}
		}
	}
	return count
}

func matches(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	quoted := strings.NewReplacer(`\`, `\\`, "[", `\[`, "?", `\?`).Replace(pattern)
	ok, err := path.Match(quoted, name)
	return ok && err == nil
}

// interfaceOf answers for one interface: whose its namespace is, or, if that is the
// host's, whose the namespace of the other end is.
func (a *asker) interfaceOf(q question, n int, i *inspect.Interface) {
	id := a.networks[n].ID()
	answer := Answer{Word: q.word, Kind: KindInterface, Namespace: &id, Interface: i}
	home := a.snapshot.Namespace(id)
	if i.Peer != nil {
		if at, known := a.byNetns[i.Peer.Netns]; known {
			answer.Peer = a.networks[at].Interface(i.Peer.Index)
			if home.IsInitial() {
				home = a.snapshot.Namespace(a.networks[at].ID())
			}
		}
	}
	a.whose(&answer, home)
	a.add(answer)
}

// whose fills in whose a network namespace is.
func (a *asker) whose(answer *Answer, home *inspect.Namespace) {
	if home == nil {
		return
	}
	answer.Name, answer.Identity = home.Target()
	answer.Process, answer.PIDs, answer.Members = a.leader(home), home.PIDs, a.members(home, answer.Name)
	if home.IsInitial() {
		answer.Process, answer.PIDs = nil, nil // everybody's
	}
}

// addresses answers for an IP address.
func (a *asker) addresses(q question) {
	for _, home := range a.byAddress[q.address.Unmap().String()] {
		id := a.networks[home.network].ID()
		answer := Answer{Word: q.word, Kind: KindAddress, Namespace: &id, Interface: &a.networks[home.network].Interfaces[home.at]}
		a.whose(&answer, a.snapshot.Namespace(id))
		a.add(answer)
	}
}

// hears says whether what is sent to the address of a question comes to a socket.
func (a *asker) hears(q question, n int, l *network.Listener) bool {
	if q.protocol != "" && q.protocol != l.Protocol || !l.Hears(q.address, q.port) {
		return false
	}
	own := func(home atHome) bool { return home.network == n }
	return !q.address.IsValid() || q.address.IsLoopback() || q.address.IsUnspecified() ||
		slices.ContainsFunc(a.byAddress[q.address.Unmap().String()], own)
}

// listeners answers for a port.
func (a *asker) listeners(q question) error {
	sockets := map[uint64]uint64{}
	found := make([][]network.Listener, len(a.networks))
	for n := range a.networks {
		for i := range a.networks[n].Listeners {
			l := &a.networks[n].Listeners[i]
			if !a.hears(q, n, l) {
				continue
			}
			found[n] = append(found[n], *l)
			if l.Inode != 0 {
				sockets[l.Inode] = a.networks[n].Inode
			}
		}
	}
	if len(sockets) == 0 && !slices.ContainsFunc(found, func(l []network.Listener) bool { return len(l) > 0 }) {
		return nil
	}
	holders, unreadable, err := a.machine.SocketHolders(a.ctx, a.snapshot, sockets)
	if err != nil {
		return err
	}
	for _, u := range unreadable {
		if !slices.Contains(a.refused, u) {
			a.refused = append(a.refused, u)
		}
	}
	for n := range found {
		a.listenersIn(q, n, found[n], holders)
	}
	return nil
}

// listenersIn answers for the sockets in one namespace, of which those of one process
// are one answer.
func (a *asker) listenersIn(q question, n int, list []network.Listener, holders map[uint64][]int) {
	id := a.networks[n].ID()
	home := a.snapshot.Namespace(id)
	of := map[int]int{} // PID → index into answers
	var answers []Answer
	for _, l := range list {
		pids := holders[l.Inode]
		p := a.oldest(pids)
		pid := 0
		if p != nil {
			pid = p.PID
		}
		if at, known := of[pid]; known && pid != 0 {
			answers[at].Listeners = append(answers[at].Listeners, l)
			continue
		}
		of[pid] = len(answers)
		answer := Answer{Word: q.word, Kind: KindListener, Namespace: &id, Process: p, PIDs: pids, Listeners: []network.Listener{l}}
		if p != nil {
			answer.Name, answer.Identity = a.nameOfProcess(p)
			answer.Levels = a.pidLevels(p)
			a.follow(&answer)
		}
		if answer.Name == "" && home != nil && !home.IsInitial() {
			answer.Name, answer.Identity = home.Target()
		}
		answers = append(answers, answer)
	}
	for _, answer := range answers {
		a.add(answer)
	}
}

// follow says where docker-proxy, which dockerd runs for each published port, sends on
// what it hears: to whom that belongs. It is asked for by name, and root alone can
// answer for root:
//
//	docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.18.0.2 -container-port 80
func (a *asker) follow(answer *Answer) {
	p := answer.Process
	if p.Comm != "docker-proxy" || p.UID == nil || *p.UID != 0 {
		return
	}
	values := map[string]string{}
	for i := 1; i+1 < len(p.Cmdline); i += 2 {
		if !strings.HasPrefix(p.Cmdline[i], "-") {
			i--
			continue
		}
		values[strings.TrimLeft(p.Cmdline[i], "-")] = p.Cmdline[i+1]
	}
	address, err := netip.ParseAddr(values["container-ip"])
	port, bad := strconv.ParseUint(values["container-port"], 10, 16)
	if err != nil || bad != nil {
		return
	}
	answer.Forward = &Forward{Address: address.String(), Port: uint16(port)}
	homes := a.byAddress[address.Unmap().String()]
	if len(homes) != 1 {
		return // nobody's, or nobody knows whose
	}
	if n := a.snapshot.Namespace(a.networks[homes[0].network].ID()); n != nil && !n.IsInitial() {
		answer.Name, answer.Identity = n.Target()
		answer.Members = a.members(n, answer.Name)
	}
}
