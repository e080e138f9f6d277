package main

import (
	"regexp"
	"strings"
)

// described is what git describe says where there is a tag: vX.Y.Z, perhaps with
// -PRERELEASE, and -N-gHASH for what came after it.
var described = regexp.MustCompile(`^v(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.]+?))??(?:-(\d+)-g([0-9a-f]+))?(-dirty)?$`)

// packageVersion is the version as deb and rpm take and sort it: without -, with ~
// for what comes before a release, and + for what comes after. A commit without a
// tag before it is older than all releases.
func (r *release) packageVersion() string {
	parts := described.FindStringSubmatch(r.version)
	if parts == nil {
		return "0.0.0~git" + r.time.Format("20060102150405") + "." + strings.ReplaceAll(r.version, "-", ".")
	}
	version := parts[1]
	if parts[2] != "" {
		version += "~" + parts[2]
	}
	if parts[3] != "" {
		version += "+" + parts[3] + ".g" + parts[4]
	}
	if parts[5] != "" {
		version += "+dirty"
	}
	return version
}
