package main

import (
	"context"

	"nsx/cgroupfs"
	"nsx/inspect"
)

// groupAt names a group of the machine whose root is mounted at root.
func groupAt(ctx context.Context, root, word string) (*cgroupfs.Group, error) {
	m, err := inspect.Open(root)
	if err != nil {
		return nil, err
	}
	return m.Group(ctx, word)
}
