package main

const targetHelp = `A target is a process (5151, init, self), a
thread (5151/5160), a namespace (4026531840, net:[4026531840], by the kernel's
id net:=3, netns:blue, /run/netns/blue) or the processes of a cgroup
(cgroup:/demo) or of a systemd unit (web.service, session:3).`
