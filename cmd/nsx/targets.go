package main

const targetHelp = `A target is a process (5151, init, self; 5151:INODE with the inode number of its
pidfd), a thread (5151/5160), a namespace (4026531840, net:[4026531840], by the
kernel's id net:=3, netns:blue, /run/netns/blue), the processes of a cgroup
(cgroup:/demo), or what has a name: ct:web, podman:web, docker:1f2e (four or more
digits of an id), pod:shop/cart, unit:nginx, session:3, machine:box. A bare word
(web) is any of these that one thing alone has. What a user says of his own
processes counts with his name alone: podman(alice):web. In names * stands for any
part.`
