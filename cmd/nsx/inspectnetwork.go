package main

import (
	"fmt"
	"strings"

	"nsx/inspect"
	"nsx/output"
)

// networkFacts are the interfaces with their other ends, and who listens.
func networkFacts(d *profileDoc) (facts []output.Fact) {
	n := d.Network
	if n == nil {
		return nil
	}
	most := d.most(16)
	for i := range n.Interfaces {
		one := &n.Interfaces[i]
		if i == most {
			facts = append(facts, line(output.Text("and"), output.Text(fmt.Sprintf("%d more", len(n.Interfaces)-most))))
			break
		}
		if one.Loopback && len(n.Interfaces) > 1 && one.Up && !d.all {
			continue // everybody has one
		}
		facts = append(facts, line(output.Text(one.Name), output.Text(interfaceText(d, one))))
	}
	for i := range n.Ports {
		if i == most {
			facts = append(facts, line(output.Text("and"), output.Text(fmt.Sprintf("%d sockets more", len(n.Ports)-most))))
			break
		}
		p := &n.Ports[i]
		who := "?"
		if p.PID != 0 {
			who = fmt.Sprintf("%d %s", p.PID, p.Comm)
		}
		facts = append(facts, line(output.Text("listens"), output.Text(p.Protocol+" "+p.Address.String()+"  "+who)))
	}
	if n.NetNSID != nil {
		facts = append(facts, line(output.Text("NETNSID"), output.Text(fmt.Sprintf("%d as seen from here", *n.NetNSID))))
	}
	return facts
}

// interfaceText is "10.88.0.3/16  ⇄ veth1 of host".
func interfaceText(d *profileDoc, i *inspect.Interface) string {
	var parts []string
	if !i.Up {
		parts = append(parts, "down")
	} else if i.State != "up" && i.State != "unknown" && i.State != "" {
		parts = append(parts, i.State)
	}
	for _, a := range i.Addresses {
		parts = append(parts, a.String())
	}
	text := strings.Join(parts, ", ")
	switch {
	case i.Peer != nil:
		text += "  ⇄ " + i.Peer.Name + neighbourText(d, i.Peer.Netns)
	case i.Link != 0:
		text += fmt.Sprintf("  ⇄ number %d of a network namespace that was not seen", i.Link)
	}
	return strings.TrimSpace(text)
}

// neighbourText is " of netns:blue", and nothing for the namespace itself.
func neighbourText(d *profileDoc, inode uint64) string {
	for _, n := range d.Network.Neighbours {
		switch {
		case n.Inode != inode:
		case n.Name != "":
			return " of " + n.Name
		default:
			return fmt.Sprintf(" of net:%d", inode)
		}
	}
	return ""
}
