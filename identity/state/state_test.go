package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/identity"
)

var (
	id  = strings.Repeat("a1", 32)
	pod = &identity.PodName{UID: "0f3a1b2c-1111-2222-3333-444455556666"}
)

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestComplete(t *testing.T) {
	docker := identity.Identity{Kind: identity.Container, Runtime: identity.Docker, ID: id, By: identity.ByCgroup}
	cri := identity.Identity{Kind: identity.Container, Runtime: identity.Containerd, ID: id, Pod: pod, By: identity.ByCgroup}
	nerdctl := identity.Identity{Kind: identity.Container, Runtime: identity.Nerdctl, ID: id, By: identity.ByCgroup}
	user, nested := docker, docker
	user.OwnerUID = 1000
	nested.Parents = []identity.Identity{docker}
	const (
		dockerFile = "var/lib/docker/containers/ID/config.v2.json"
		criFile    = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json"
		k3sFile    = "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json"
		ctrFile    = "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json"
		container  = `{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"cart-7d4","io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.image-name":"docker.io/shop/cart:1"}}`
		sandbox    = `{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"cart-7d4","io.kubernetes.cri.sandbox-namespace":"shop"}}`
		web        = `{"ID":"x","Name":"/web","Config":{"Image":"nginx:1"}}`
	)
	for name, c := range map[string]struct {
		id         identity.Identity
		file, text string
		target     string
		image      string
	}{
		"docker":              {docker, dockerFile, web, "docker:web", "nginx:1"},
		"no file":             {docker, "x", "", "docker:" + id[:12], ""},
		"no JSON":             {docker, dockerFile, "{", "docker:" + id[:12], ""},
		"a name that is none": {docker, dockerFile, `{"Name":"/a\u001b[m b"}`, "docker:" + id[:12], ""},
		"an endless image":    {docker, dockerFile, `{"Name":"/web","Config":{"Image":"` + strings.Repeat("x", 2000) + `"}}`, "docker:web", ""},
		"too long a file":     {docker, dockerFile, web + strings.Repeat(" ", maxFile), "docker:" + id[:12], ""},
		"a user's":            {user, dockerFile, web, "docker(1000):" + id[:12], ""},
		"in a container":      {nested, dockerFile, web, "docker(docker:" + id[:12] + "):" + id[:12], ""},
		"a pod's container":   {cri, criFile, container, "pod:shop/cart-7d4/app", "docker.io/shop/cart:1"},
		"a pod's sandbox":     {cri, criFile, sandbox, "pod:shop/cart-7d4", ""},
		"k3s":                 {cri, k3sFile, container, "pod:shop/cart-7d4/app", "docker.io/shop/cart:1"},
		"nerdctl":             {nerdctl, ctrFile, `{"annotations":{"nerdctl/name":"db"}}`, "nerdctl:db", ""},
		"without annotations": {nerdctl, ctrFile, `{}`, "nerdctl:" + id[:12], ""},
	} {
		root := t.TempDir()
		write(t, root, strings.ReplaceAll(c.file, "ID", id), c.text)
		got := c.id
		Complete(root, &got)
		if got.Target() != c.target || got.Image != c.image || (got.By == identity.ByFile) != (got.Name != "") {
			t.Errorf("%s: %q of %q by %s, want %q of %q", name, got.Target(), got.Image, got.By, c.target, c.image)
		}
	}
	if pod.Name != "" {
		t.Error("another one's pod was changed")
	}
}

// TestHostileTree: a root that is data. Nothing in it blocks, and no link leads out.
func TestHostileTree(t *testing.T) {
	dir := "var/lib/docker/containers/" + id
	for name, make := range map[string]func(file, outside string) error{
		"a fifo": func(file, _ string) error { return unix.Mkfifo(file, 0o644) },
		"a link": func(file, outside string) error { return os.Symlink(outside, file) },
	} {
		root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
		write(t, filepath.Dir(outside), "secret", `{"Name":"/secret"}`)
		write(t, root, dir+"/x", "")
		if err := make(filepath.Join(root, dir, "config.v2.json"), outside); err != nil {
			t.Fatal(err)
		}
		got := identity.Identity{Kind: identity.Container, Runtime: identity.Docker, ID: id}
		if Complete(root, &got); got.Name != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
