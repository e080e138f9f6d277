//go:build cgo || !(amd64 || arm64)

package inherited

func looked() (nothing [words]uint64) { return nothing }
