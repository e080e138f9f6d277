package identity

import (
	"strings"
	"testing"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	uid = "0f3a1b2c-1111-2222-3333-444455556666"
)

func TestInnermost(t *testing.T) {
	und := strings.ReplaceAll(uid, "-", "_")
	for path, want := range map[string]string{
		"/":           "",
		"/demo":       "",
		"/demo/web":   "",
		"/docker":     "",
		"/" + "lxc":   "",
		"/user.slice": "systemd user.slice",
		// docker
		"/docker/" + idA:                         "docker A",
		"/system.slice/docker-" + idA + ".scope": "docker A",
		"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope": "docker A",
		"/docker/" + idA + "/system.slice/nginx.service":                                    "docker A",
		"/nsx-parent/" + idA:                         "container A",
		"/docker/buildkit/j8wq1xn4tzb8xv2sadm0cpk3l": "buildkit j8wq1xn4tzb8xv2sadm0cpk3l",
		"/buildkit/j8wq1xn4tzb8xv2sadm0cpk3l":        "buildkit j8wq1xn4tzb8xv2sadm0cpk3l",
		"/docker/" + idA + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + und + ".slice/cri-containerd-" + idB + ".scope": "containerd B",
		// podman
		"/libpod_parent/libpod-" + idA:                                                                "podman A",
		"/libpod_parent/" + idB + "/libpod-" + idA:                                                    "podman A",
		"/libpod_parent/libpod-" + idA + "/container":                                                 "podman A",
		"/machine.slice/libpod-" + idA + ".scope/container":                                           "podman A",
		"/machine.slice/libpod-conmon-" + idA + ".scope":                                              "podman A",
		"/machine.slice/machine-libpod_pod_" + idB + ".slice":                                         "podman B",
		"/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope":                "podman A",
		"/system.slice/q.service/libpod-payload-" + idA:                                               "podman A",
		"/system.slice/q.service/runtime":                                                             "systemd q.service",
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container": "podman A",
		// containerd, nerdctl
		"/default/" + idA:                         "containerd A",
		"/k8s.io/" + idA:                          "containerd A",
		"/system.slice/nerdctl-" + idA + ".scope": "nerdctl A",
		// Kubernetes
		"/kubepods":           "kubernetes kubepods",
		"/kubepods/burstable": "kubernetes kubepods",
		"/kubepods.slice":     "kubernetes kubepods.slice",
		"/kubepods/pod" + uid: "kubernetes " + uid,
		"/kubepods/burstable/pod" + uid + "/" + idA:                                                                         "containerd A",
		"/kubepods/besteffort/pod0f3a1b2c111122223333444455556666/" + idA:                                                   "containerd A",
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + und + ".slice":                                  "kubernetes " + uid,
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + und + ".slice/cri-containerd-" + idA + ".scope": "containerd A",
		"/kubepods.slice/kubepods-pod" + und + ".slice/docker-" + idA + ".scope":                                            "docker A",
		"/kubepods.slice/kubepods-pod" + und + ".slice/crio-" + idA + ".scope/container":                                    "cri-o A",
		"/kubelet/kubepods/pod" + uid + "/" + idA:                                                                           "containerd A",
		"/system.slice/kubelet.service/kubepods/pod" + uid + "/" + idA:                                                      "containerd A",
		"/x/kubepods-burstable-pod" + und + ".slice:cri-containerd:" + idA:                                                  "containerd A",
		"/crio/crio-" + idA: "cri-o A",
		"/kubepods.slice/kubepods-pod" + und + ".slice/crio-conmon-" + idA + ".scope": "cri-o A",
		// ECS
		"/ecs/529630467358463ab6bbba4e73afe704/" + idA:                                             "docker A",
		"/ecs/529630467358463ab6bbba4e73afe704/web-1/" + idA:                                       "docker A",
		"/ecs/529630467358463ab6bbba4e73afe704/529630467358463ab6bbba4e73afe704-123":               "ecs 529630467358463ab6bbba4e73afe704-123",
		"/ecstasks.slice/ecstasks-529630467358463ab6bbba4e73afe704.slice/docker-" + idA + ".scope": "docker A",
		// LXC, machines, libvirt
		"/lxc.payload.web":                                  "lxc web",
		"/lxc.payload.web/system.slice/x.service":           "lxc web",
		"/lxc.monitor.web":                                  "lxc web",
		"/user.slice/lxc.payload.web":                       "lxc web",
		"/lxc/101/ns":                                       "lxc 101",
		"/lxc.payload/web":                                  "lxc web",
		`/machine.slice/machine-my\x2dbox.scope/payload`:    "machine my-box",
		`/machine.slice/systemd-nspawn@web.service/payload`: "machine web",
		`/machine.slice/machine-qemu\x2d3\x2dwin.scope`:     "libvirt win",
		"/machine/web.libvirt-lxc":                          "libvirt web",
		"/libvirt/lxc/web":                                  "libvirt web",
		// others
		"/nomad/share/4d1f.web":                   "nomad 4d1f.web",
		"/nomad.slice/share.slice/4d1f.web.scope": "nomad 4d1f.web",
		"/garden/abc":                             "garden abc",
		"/bpm-cloud":                              "bpm cloud",
		"/system.slice/bpm-cloud.scope":           "bpm cloud",
		// systemd
		"/system.slice/nginx.service":                 "systemd nginx.service",
		"/system.slice/nginx.service/sub":             "systemd nginx.service",
		"/system.slice":                               "systemd system.slice",
		"/init.scope":                                 "systemd init.scope",
		"/user.slice/user-1000.slice/session-3.scope": "systemd session-3.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.x-1.scope": "systemd app-flatpak-org.x-1.scope",
		// what only looks like one
		"/docker/abc":         "",
		"/docker/" + idA[:63]: "",
		"/x/podinfo":          "",
		"/default/web":        "",
		"/a/lxc/web":          "",
	} {
		got := ""
		if c, ok := Innermost(path); ok {
			name := strings.NewReplacer(idA, "A", idB, "B").Replace(c.Name)
			got = string(c.Runtime) + " " + name
			if !strings.HasPrefix(path, c.Path) {
				t.Errorf("%s: the claim is about %s", path, c.Path)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	chain := Claims("/docker/" + idA + "/kubepods/pod" + uid + "/" + idB)
	if len(chain) != 4 || chain[0].Runtime != Docker || chain[3].Runtime != Containerd || chain[0].Path != "/docker/"+idA {
		t.Errorf("a container in a container: %+v", chain)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("/docker/" + idA)
	f.Add(`/machine.slice/machine-a\x2.scope`)
	f.Fuzz(func(t *testing.T, path string) {
		for _, c := range Claims(path) {
			if c.Runtime == "" || c.Path == "" {
				t.Errorf("%q: %+v", path, c)
			}
		}
	})
}

func TestGroupOf(t *testing.T) {
	for path, want := range map[string]string{
		"/machine.slice/libpod-" + idA + ".scope/container": "/machine.slice/libpod-" + idA + ".scope",
		"/docker/" + idA + "/system.slice/nginx.service":    "/docker/" + idA,
		"/docker/" + idA + "/docker/" + idB:                 "/docker/" + idA + "/docker/" + idB,
		"/kubepods/burstable/pod" + uid + "/" + idA:         "/kubepods/burstable/pod" + uid + "/" + idA,
		"/kubepods/burstable/pod" + uid:                     "/kubepods/burstable/pod" + uid,
		"/system.slice/a.service/b.service/group":           "/system.slice/a.service/b.service",
		"/user.slice/user-1000.slice/session-2.scope":       "/user.slice/user-1000.slice/session-2.scope",
		"/lxc.payload.web/init.scope":                       "/lxc.payload.web",
		"/kubepods/burstable":                               "", "/lxc.monitor.web": "", "/": "", "/demo/x": "", "/system.slice": "",
	} {
		_, named := FromPath(path)
		if got := GroupOf(path); got != want || named != (want != "") {
			t.Errorf("%s: %q, want %q; named %v", path, got, want, named)
		}
	}
}
