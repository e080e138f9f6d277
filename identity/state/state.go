// Package state reads what container runtimes have written down about their
// containers: names that neither a cgroup nor a command line has. It asks no daemon.
//
// The files may be older than the machine's last start, so nothing is taken from them
// but what belongs to an ID that a living process has been seen to have.
package state

import (
	"encoding/json"
	"path"
	"strings"

	"nsx/identity"
	"nsx/internal/proc"
)

// maxFile is how much of a file is read, in bytes. Docker's have some kilobytes, an OCI
// runtime's config.json with all its mounts and filters some dozens.
const maxFile = 1 << 20

// maxImage is how long a reference to an image may be, in bytes: a name of 255 with a
// tag of 128 and a digest, and as much again.
const maxImage = 1024

// Complete adds the name, image and pod of a container to what is known of it, from
// files below a root directory. A container that root of the host does not vouch for
// has none there, nor has one whose ID is not known; and what cannot be read is left
// out, as most is for who is not root.
func Complete(root string, id *identity.Identity) {
	if !id.Trusted() || !identity.IsID(id.ID) || id.Name != "" && id.Image != "" {
		return
	}
	r := proc.Root(root)
	switch id.Runtime {
	case identity.Docker:
		completeDocker(r, id)
	case identity.Containerd, identity.Nerdctl:
		completeContainerd(r, id)
	}
}

// completeDocker reads moby's container.Container as daemon/container writes it.
func completeDocker(r proc.Root, id *identity.Identity) {
	var file struct {
		Name   string
		Config struct{ Image string }
	}
	if read(r, path.Join("var/lib/docker/containers", id.ID, "config.v2.json"), &file) {
		set(id, strings.TrimPrefix(file.Name, "/"), file.Config.Image)
	}
}

// bundles are where containerd keeps the OCI bundles of tasks, and those that come with
// one of their own (k3s, MicroK8s).
var bundles = []string{
	"run/containerd/io.containerd.runtime.v2.task",
	"run/k3s/containerd/io.containerd.runtime.v2.task",
	"var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
}

// completeContainerd reads the annotations that CRI (pkg/cri/annotations) and nerdctl
// (pkg/labels) give the container.
func completeContainerd(r proc.Root, id *identity.Identity) {
	namespace := "default"
	if id.Pod != nil {
		namespace = "k8s.io"
	}
	for _, dir := range bundles {
		var file struct{ Annotations map[string]string }
		if !read(r, path.Join(dir, namespace, id.ID, "config.json"), &file) {
			continue
		}
		const cri = "io.kubernetes.cri."
		get := func(name string) string { return file.Annotations[cri+name] }
		if pod := get("sandbox-name"); identity.IsName(pod) && identity.IsName(get("sandbox-namespace")) {
			named := identity.PodName{Namespace: get("sandbox-namespace"), Name: pod}
			if id.Pod != nil {
				named.UID = id.Pod.UID
			}
			id.Pod = &named
			if get("container-type") == "sandbox" {
				id.Kind = identity.Pod
			}
		}
		set(id, get("container-name"), get("image-name"))
		set(id, file.Annotations["nerdctl/name"], "")
		return
	}
}

// set sets what was found and can be one.
func set(id *identity.Identity, name, image string) {
	if identity.IsName(name) {
		id.Name, id.By = name, identity.ByFile
	}
	if image != "" && len(image) <= maxImage {
		id.Image = image
	}
}

func read(r proc.Root, name string, into any) bool {
	text, err := r.ReadFile(name, maxFile)
	return err == nil && json.Unmarshal(text, into) == nil
}
