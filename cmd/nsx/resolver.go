package main

import (
	"context"
	"strings"

	"nsx/enter"
	"nsx/inspect"
)

// resolver pins targets, each word once.
type resolver map[string]*inspect.Target

func newResolver() resolver { return resolver{} }

func (r resolver) close() {
	for _, t := range r {
		t.Close()
	}
}

func (r resolver) resolve(ctx context.Context, word string) (*inspect.Target, error) {
	if t, known := r[word]; known {
		return t, nil
	}
	t, err := inspect.Resolve(ctx, word)
	if err == nil {
		r[word] = t
	}
	return t, err
}

// request is one namespace of a target, which must be of that type if it is a
// namespace itself. nsenter(1) has ":ID" for one by its kernel's id.
func (r resolver) request(ctx context.Context, typ inspect.Type, word string) (enter.Request, error) {
	if id, ok := strings.CutPrefix(word, ":"); ok {
		word = typ.String() + ":=" + id
	}
	t, err := r.resolve(ctx, word)
	if err == nil && t.PID == 0 && t.ID.Type != typ {
		err = usagef("%s: %s is no %s namespace", word, t.ID, typ)
	}
	return enter.Request{Type: typ, Target: t}, err
}

// socket is the network namespace of a socket that a process has open.
func (r resolver) socket(ctx context.Context, word string, fd int) (*inspect.Target, error) {
	process, err := r.resolve(ctx, word)
	if err != nil {
		return nil, err
	}
	t, err := process.Socket(fd)
	if err == nil {
		r[t.Word] = t
	}
	return t, err
}

// requests reads [TYPE=]TARGET: one namespace, or all.
func (r resolver) requests(ctx context.Context, word string) ([]enter.Request, error) {
	if name, target, ok := strings.Cut(word, "="); ok && !strings.HasSuffix(name, ":") { // net:=ID
		typ, err := inspect.ParseType(name)
		if err != nil {
			return nil, usage(err)
		}
		request, err := r.request(ctx, typ, target)
		return []enter.Request{request}, err
	}
	t, err := r.resolve(ctx, word)
	if err != nil {
		return nil, err
	}
	return enter.AllOf(t), nil
}
