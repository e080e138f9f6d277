package who

import (
	"net"
	"net/netip"
	"strings"

	"nsx/inspect"
	"nsx/internal/proc"
)

// question is a word, understood but not yet looked up.
type question struct {
	word string
	kind Kind

	name     string // of an interface
	mac      string // of an interface without a name
	protocol string // "" for any
	address  netip.Addr
	port     uint16
	number   uint32       // of a uid, or of a PID inside of at
	at       *inspect.Ref // in which container, pod, namespace … that number is meant
	ref      inspect.Ref
}

// parse reads a word. What it refuses is inspect.ErrUsage.
func parse(word string) (question, error) {
	q := question{word: word}
	prefix, rest, _ := strings.Cut(word, ":")
	switch prefix {
	case "if":
		if rest == "" || strings.ContainsAny(rest, "/ ") {
			return q, usagef("%q: %q is no name of an interface: want if:veth3de0", word, rest)
		}
		q.kind, q.name = KindInterface, rest
		return q, nil
	case "", "*", "tcp", "udp", "sctp":
		if !strings.Contains(word, ":") || strings.HasPrefix(word, "::") {
			break
		}
		q.kind, q.protocol = KindListener, strings.TrimPrefix(prefix, "*")
		return q, q.parseSocket(rest)
	case "uid", "pid":
		number, at, inside := strings.Cut(rest, "@")
		if prefix == "pid" && !inside {
			break
		}
		return q, q.parseNumber(prefix, number, at, inside)
	}
	if mac, err := net.ParseMAC(word); err == nil && len(mac) == 6 {
		q.kind, q.mac = KindInterface, mac.String()
		return q, nil
	}
	if to, err := netip.ParseAddrPort(word); err == nil {
		q.kind, q.address, q.port = KindListener, to.Addr().WithZone(""), to.Port()
		return q, nil
	}
	plain, _, _ := strings.Cut(word, "/")
	if bare, ok := strings.CutSuffix(plain, "]"); ok && strings.HasPrefix(bare, "[") && strings.Contains(bare, ":") && plain == word {
		plain, word = bare[1:], bare[1:]
	}
	if address, err := netip.ParseAddr(plain); err == nil && !strings.HasPrefix(word, "/") {
		if _, err := netip.ParsePrefix(word); err != nil && plain != word {
			return q, usagef("%q: %w", word, err)
		}
		q.kind, q.address = KindAddress, address.WithZone("")
		return q, nil
	}
	var err error
	if q.ref, err = inspect.ParseRef(word); err != nil {
		return q, err
	}
	q.kind = kindOf(q.ref.Kind)
	return q, nil
}

func kindOf(k inspect.RefKind) Kind {
	switch k {
	case inspect.RefProcess, inspect.RefSelf:
		return KindProcess
	case inspect.RefNamespace, inspect.RefFile, inspect.RefNetns:
		return KindNamespace
	case inspect.RefCgroup:
		return KindGroup
	}
	return KindName
}

// parseSocket reads PORT or ADDRESS:PORT.
func (q *question) parseSocket(s string) error {
	if to, err := netip.ParseAddrPort(s); err == nil {
		q.address, q.port = to.Addr().WithZone(""), to.Port()
		return nil
	}
	s = strings.TrimPrefix(s, "*:")
	port, ok := proc.Decimal(s)
	if !ok || port == 0 || port > 65535 {
		return usagef("%q: %q is no port: want a number up to 65535, as in :8080, tcp:8080 or udp:10.0.0.1:53", q.word, s)
	}
	q.port = uint16(port)
	return nil
}

// parseNumber reads the rest of uid:N, uid:N@TARGET and pid:N@TARGET.
func (q *question) parseNumber(prefix, number, at string, inside bool) error {
	n, ok := proc.Decimal(number)
	if !ok || n >= 1<<32-1 || prefix == "pid" && n == 0 {
		return usagef("%q: %q is no %s: want a decimal number", q.word, number, prefix)
	}
	q.number, q.kind = uint32(n), KindUID
	if prefix == "pid" {
		q.kind = KindPID
	}
	if !inside {
		return nil
	}
	ref, err := inspect.ParseRef(at)
	if err != nil {
		return err
	}
	q.at = &ref
	return nil
}

// network says that the answer is in the network namespaces.
func (q *question) network() bool {
	return q.kind == KindInterface || q.kind == KindListener || q.kind == KindAddress || q.ref.Kind == inspect.RefName
}
