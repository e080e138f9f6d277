package identity

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

var (
	shortA = idA[:12]
	shortB = idB[:12]
	podA   = "/kubepods/burstable/pod" + uid
	user   = "/user.slice/user-1000.slice/user@1000.service"
)

// TestFromPath: what a path alone says, as people type it.
func TestFromPath(t *testing.T) {
	for path, want := range map[string]struct{ target, unit, parents string }{
		"/":                                      {},
		"/demo":                                  {},
		"/system.slice":                          {},
		"/kubepods":                              {},
		"/kubepods/burstable":                    {},
		"/docker/" + idA:                         {target: "docker:" + shortA},
		"/system.slice/docker-" + idA + ".scope": {target: "docker:" + shortA},
		user + "/user.slice/docker-" + idA + ".scope": {target: "docker(1000):" + shortA},
		"/nsx-parent/" + idA:                          {target: "ct:" + shortA},
		podA:                                          {target: "pod:" + uid},
		podA + "/" + idA:                              {target: "ct:" + shortA},
		"/kubepods/pod" + uid + "/crio-" + idA:        {target: "ct:" + shortA},
		"/machine.slice/libpod-" + idA + ".scope/container": {target: "podman:" + shortA},
		"/machine.slice/libpod-conmon-" + idA + ".scope":    {},
		"/lxc.monitor.web": {},
		"/machine.slice/machine-libpod_pod_" + idB + ".slice":                          {target: "pod:" + shortB},
		"/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope": {target: "podman:" + shortA},
		"/libpod_parent/" + idB + "/libpod-" + idA:                                     {target: "podman:" + shortA},
		"/system.slice/q.service/libpod-payload-" + idA:                                {target: "podman:" + shortA, unit: "q.service"},
		"/system.slice/q.service/runtime":                                              {target: "unit:q"},
		"/lxc.payload.web/system.slice/x.service":                                      {target: "lxc:web"},
		"/lxc.payload.web/docker/" + idA:                                               {target: "docker(lxc:web):" + shortA, parents: "lxc:web"},
		"/docker/" + idA + podA + "/" + idB:                                            {target: "ct(docker:" + shortA + "):" + shortB, parents: "docker:" + shortA},
		`/machine.slice/machine-my\x2dbox.scope/payload`:                               {target: "machine:my-box"},
		`/machine.slice/systemd-nspawn@web.service/payload`:                            {target: "machine:web"},
		"/system.slice/nginx.service":                                                  {target: "unit:nginx"},
		"/system.slice/nginx.service/sub":                                              {target: "unit:nginx"},
		"/system.slice/dbus.socket":                                                    {target: "unit:dbus.socket"},
		"/init.scope":                                                                  {target: "unit:init.scope"},
		"/user.slice/user-1000.slice/session-3.scope":                                  {target: "session:3"},
		user:                                  {target: "unit:user@1000"},
		user + "/init.scope":                  {target: "unit(1000):init.scope"},
		user + "/app.slice/syncthing.service": {target: "unit(1000):syncthing"},
		user + "/app.slice/app-flatpak-org.mozilla.firefox-12345.scope": {target: "flatpak(1000):org.mozilla.firefox", unit: "app-flatpak-org.mozilla.firefox-12345.scope"},
		user + "/app.slice/snap.firefox.firefox-" + uid + ".scope":      {target: "snap(1000):firefox", unit: "snap.firefox.firefox-" + uid + ".scope"},
		"/system.slice/snap.lxd.daemon.service":                         {target: "snap:lxd.daemon", unit: "snap.lxd.daemon.service"},
		user + "/app.slice/docker-" + idA + ".scope/x/lxc.payload.y":    {target: "lxc(docker(1000):" + shortA + "):y", parents: "docker(1000):" + shortA},
	} {
		id, ok := FromPath(path)
		if !ok {
			if want.target != "" {
				t.Errorf("%s: nobody's", path)
			}
			continue
		}
		var parents []string
		for _, p := range id.Parents {
			parents = append(parents, p.Target())
		}
		if q, ok := ParseQuery(id.Target()); !ok || !q.Matches(&id) {
			t.Errorf("%s: %q does not name it: %+v", path, id.Target(), q)
		}
		if got := id.Target(); got != want.target || id.Unit != want.unit || strings.Join(parents, " ") != want.parents || id.By != ByCgroup {
			t.Errorf("%s: %q, unit %q, in %q, by %s; want %+v", path, got, id.Unit, parents, id.By, want)
		}
	}
	id, _ := FromPath(user + "/user.slice/docker-" + idA + ".scope")
	if id.OwnerUID != 1000 || id.Trusted() {
		t.Errorf("below a user's manager: %+v", id)
	}
}

func TestFromArgv(t *testing.T) {
	for line, want := range map[string]Supervisor{
		"":                           {},
		"/bin/sh -c x":               {},
		"conmon":                     {},
		"conmon -c ../../etc -n web": {},
		"/usr/bin/containerd-shim-runc-v2 -namespace moby -id " + idA + " -address /run/containerd/containerd.sock":                                         {Runtime: Docker, ID: idA, Namespace: "moby"},
		"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + idA + " -address x":                                                                     {Runtime: Containerd, ID: idA, Namespace: "k8s.io"},
		"containerd-shim -namespace default -id web.1":                                                                                                      {Runtime: Containerd, ID: "web.1", Namespace: "default"},
		"/usr/bin/conmon --api-version 1 -c " + idA + " -u " + idA + " -r /usr/bin/crun -b /b/userdata -p /x/pidfile -n web --exit-command /usr/bin/podman": {Runtime: Podman, ID: idA, Name: "web", Bundle: "/b/userdata"},
		"conmon --cid=" + idA + " --name=a/b":                                                                                                               {Runtime: Podman, ID: idA},
		"conmon -c " + idA + " -- -n other -c x":                                                                                                            {Runtime: Podman, ID: idA},
		"conmon -c " + idA + " -n k8s_app_cart-7d4_shop_" + uid + "_0":                                                                                      {Runtime: CRIO, ID: idA, Name: "app", Pod: &PodName{Namespace: "shop", Name: "cart-7d4", UID: uid}},
		"conmon -c " + idA + " -n k8s_POD_cart-7d4_shop_" + uid + "_0":                                                                                      {Runtime: CRIO, ID: idA, Sandbox: true, Pod: &PodName{Namespace: "shop", Name: "cart-7d4", UID: uid}},
		"[lxc_monitor]_/var/lib/lxc_web":                                                                                                                    {Runtime: LXC, Name: "web"},
		"[lxc_monitor]_/var/lib/incus/containers_p_web":                                                                                                     {Runtime: Incus, Name: "web"},
		"[lxc_monitor]_/var/snap/lxd/common/lxd/containers_web":                                                                                             {Runtime: LXD, Name: "web"},
		"[lxc_monitor]_web":                                {},
		"lxc-start -F -n web":                              {Runtime: LXC, Name: "web"},
		"systemd-nspawn -M box -D /":                       {Runtime: Machined, Name: "box"},
		"systemd-nspawn --directory=/var/lib/machines/deb": {Runtime: Machined, Name: "deb"},
	} {
		argv := strings.Fields(line)
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], "_/", " /")
			if i == 0 && strings.HasPrefix(line, "[") {
				argv[i] = strings.ReplaceAll(argv[i], "_", " ")
			}
		}
		got, ok := FromArgv(argv)
		if ok != (want.Runtime != "") || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", argv, got, ok, want)
		}
	}
}

func supervisor(t *testing.T, line string) Supervisor {
	t.Helper()
	s, ok := FromArgv(strings.Fields(line))
	if !ok {
		t.Fatalf("%q is no supervisor", line)
	}
	return s
}

// TestOf: paths and supervisors together.
func TestOf(t *testing.T) {
	lxc, _ := FromPath("/lxc.payload.legacy")
	alice, _ := FromPath(user + "/app.slice/podman.service")
	for name, c := range map[string]struct {
		paths  []string
		by     *Claimant
		target string
		by2    Source
		unit   string
	}{
		"nobody's":                          {paths: []string{"/", "/demo"}},
		"the path alone":                    {paths: []string{"/", "/docker/" + idA}, target: "docker:" + shortA, by2: ByCgroup},
		"the container's before the unit's": {paths: []string{"/system.slice/x.service", "/docker/" + idA}, target: "docker:" + shortA, by2: ByCgroup},
		"a name":                            {paths: []string{"/machine.slice/libpod-" + idA + ".scope"}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n web")}, target: "podman:web", by2: ByArgv},
		"docker with a parent":              {paths: []string{"/parent/" + idA}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace moby -id "+idA)}, target: "docker:" + shortA, by2: ByArgv},
		"rootless, by its ID alone":         {paths: []string{"/"}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA), UID: 1000}, target: "podman(1000):" + shortA, by2: ByArgv},
		"a pod without a group":             {paths: []string{"/"}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace k8s.io -id "+idA)}, target: "pod:" + shortA, by2: ByArgv},
		"a pod by a name":                   {paths: []string{"/"}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace k8s.io -id web.1")}, target: "pod:web.1", by2: ByArgv},
		"rootless, in no group":             {paths: []string{"/"}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n web"), UID: 1000, Of: &alice}, target: "podman(1000):web", by2: ByArgv},
		"in the group of a unit":            {paths: []string{"/system.slice/q.service"}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n web")}, target: "podman:web", by2: ByArgv, unit: "q.service"},
		"a pod's sandbox":                   {paths: []string{podA + "/" + idA}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace k8s.io -id "+idA)}, target: "pod:" + uid, by2: ByArgv},
		"a pod's container":                 {paths: []string{podA + "/" + idB}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace k8s.io -id "+idA)}, target: "ct:" + shortB, by2: ByCgroup},
		"CRI-O's container":                 {paths: []string{podA + "/crio-" + idA}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n k8s_app_cart_shop_"+uid+"_0")}, target: "pod:shop/cart/app", by2: ByArgv},
		"CRI-O's sandbox":                   {paths: []string{podA + "/crio-" + idA}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n k8s_POD_cart_shop_"+uid+"_0")}, target: "pod:shop/cart", by2: ByArgv},
		"Incus":                             {paths: []string{"/lxc.payload.p_web"}, by: &Claimant{Supervisor: Supervisor{Runtime: Incus, Name: "p_web"}}, target: "incus:p_web", by2: ByArgv},
		"a claim from within a container":   {paths: []string{"/lxc.payload.legacy"}, by: &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n db"), Of: &lxc}, target: "podman(lxc:legacy):db", by2: ByArgv},
		"docker in LXC":                     {paths: []string{"/lxc.payload.legacy/docker/" + idA}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace moby -id "+idA), Of: &lxc}, target: "docker(lxc:legacy):" + shortA, by2: ByArgv},
		"the outer one's supervisor":        {paths: []string{"/docker/" + idA + "/docker/" + idB}, by: &Claimant{Supervisor: supervisor(t, "containerd-shim-runc-v2 -namespace moby -id "+idA)}, target: "docker(docker:" + shortA + "):" + shortB, by2: ByCgroup},
		"a machine":                         {paths: []string{"/x"}, by: &Claimant{Supervisor: supervisor(t, "systemd-nspawn -M box")}, target: "machine:box", by2: ByArgv},
	} {
		id, ok := Of(c.paths, c.by)
		if !ok {
			if c.target != "" {
				t.Errorf("%s: nobody's", name)
			}
			continue
		}
		if id.Target() != c.target || id.By != c.by2 || id.Unit != c.unit {
			t.Errorf("%s: %q by %s, unit %q; want %q by %s", name, id.Target(), id.By, id.Unit, c.target, c.by2)
		}
		text, err := json.Marshal(id)
		var back Identity
		if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, id) {
			t.Errorf("%s: %s: %+v, %v", name, text, back, err)
		}
		if q, ok := ParseQuery(id.Target()); !ok || !q.Matches(&id) {
			t.Errorf("%s: %q does not name it: %+v", name, id.Target(), q)
		}
	}
}

// TestQuery: which words name what, and who may be named by a bare one.
func TestQuery(t *testing.T) {
	conmon := func(name string, uid uint32, of *Identity, paths ...string) Identity {
		id, _ := Of(paths, &Claimant{Supervisor: supervisor(t, "conmon -c "+idA+" -n "+name), UID: uid, Of: of})
		return id
	}
	lxc, _ := FromPath("/lxc.payload.legacy")
	web := conmon("web", 0, nil)
	alices := conmon("web", 1000, nil)
	alices.Owner = "alice"
	nested := conmon("web", 0, &lxc)
	app := conmon("k8s_app_cart-7d4_shop_"+uid+"_0", 0, nil, podA+"/crio-"+idA)
	forged, _ := FromPath(podA + "/" + idA)
	forged.OwnerUID = 1000
	nginx, _ := FromPath("/system.slice/nginx.service")
	session, _ := FromPath("/user.slice/user-1000.slice/session-3.scope")
	for _, c := range []struct {
		word    string
		id      *Identity
		matches bool
	}{
		{"web", &web, true},
		{"podman:web", &web, true},
		{"ct:web", &web, true},
		{"w*", &web, true},
		{"podman:w*b", &web, true},
		{"docker:web", &web, false},
		{"we", &web, false},
		{"podman(alice):web", &web, false},
		{"unit:web", &web, false},
		{"web", &alices, false},
		{"podman:web", &alices, false},
		{"podman(alice):web", &alices, true},
		{"podman(bob):web", &alices, false},
		{"podman(alice):*", &alices, true},
		{"web", &nested, false},
		{"podman(lxc:legacy):web", &nested, true},
		{"ct:aaaa", &web, true},
		{"aaaa", &web, true},
		{"podman:" + idA, &web, true},
		{"ct:aaa", &web, false},
		{"ct:aaab", &web, false},
		{"ct:aaaa", &alices, false},
		{"aaaa", &alices, false},
		{"podman:" + idA, &alices, false},
		{"ct(alice):aaaa", &alices, true},
		{"podman(alice):" + idA, &alices, true},
		{"podman(bob):aaaa", &alices, false},
		{"podman:aaaa", &nested, false},
		{"podman(lxc:legacy):aaaa", &nested, true},
		{"pod:" + uid, &forged, false},
		{"pod(1000):" + uid, &forged, true},
		{"ct(1000):aaaa", &forged, true},
		{"pod:shop/cart-7d4/app", &app, true},
		{"pod:shop/cart-7d4", &app, true},
		{"pod:cart-7d4", &app, true},
		{"cart-7d4", &app, true},
		{"pod:shop/cart-*", &app, true},
		{"pod:shop/cart-7d4/envoy", &app, false},
		{"pod:other/cart-7d4", &app, false},
		{"pod:" + uid, &app, true},
		{"shop/cart-7d4", &app, false},
		{"nginx", &nginx, true},
		{"unit:nginx", &nginx, true},
		{"nginx.service", &nginx, true},
		{"unit:nginx.service", &nginx, true},
		{"unit:ng*", &nginx, true},
		{"ct:nginx", &nginx, false},
		{"session:3", &session, true},
		{"3", &session, false},
		{"podman:[a", &web, false},
		{"podman:[w]*", &web, false},
	} {
		q, ok := ParseQuery(c.word)
		if got := ok && q.Matches(c.id); got != c.matches {
			t.Errorf("%q and %s: %v, want %v", c.word, c.id.Target(), got, c.matches)
		}
	}
	for _, word := range []string{"", "pid:5", "net:[4026531840]", "podman:", "podman(:x", "podman():x", "/run/netns/blue", "two words"} {
		if q, ok := ParseQuery(word); ok {
			t.Errorf("%q is a query: %+v", word, q)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("/docker/"+idA, "conmon\x00-c\x00"+idA+"\x00-n\x00web", "podman:web")
	f.Add("/kubepods/pod"+uid+"/"+idA, "[lxc monitor] /a b", "pod:a/b/c")
	f.Fuzz(func(t *testing.T, path, argv, word string) {
		var by *Claimant
		if s, ok := FromArgv(strings.Split(argv, "\x00")); ok {
			by = &Claimant{Supervisor: s}
			if !IsName(s.ID) && !IsName(s.Name) {
				t.Errorf("%q: %+v", argv, s)
			}
		}
		id, ok := Of([]string{path}, by)
		if ok && (id.Kind == "" || id.By == "" || !id.Same(&id)) {
			t.Errorf("%q %q: %+v", path, argv, id)
		}
		if q, parsed := ParseQuery(word); parsed && ok {
			q.Matches(&id)
		}
	})
}
