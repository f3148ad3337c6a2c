#!/bin/sh
# Runs once, inside the node's root file system: what kind's own Dockerfile does to its Debian.
set -eu
units=/lib/systemd/system
find $units/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f $units/multi-user.target.wants/* /etc/systemd/system/*.wants/* $units/local-fs.target.wants/* $units/basic.target.wants/*
rm -f $units/sockets.target.wants/*udev* $units/sockets.target.wants/*initctl*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl -q enable kubelet containerd undo-mount-hacks load-images pod-network
systemctl -q mask systemd-binfmt # binfmt_misc is the whole kernel's
hook='{"path": "/kind/bin/mount-product-files.sh"}'
ctr oci spec | jq ".hooks.createContainer[.hooks.createContainer | length] |= . + $hook | del(.process.rlimits)" > /etc/containerd/cri-base.json
# Root may lack CAP_SYS_RESOURCE: it can raise no limit and lower no OOM score.
sed -i -E '/^(OOMScoreAdjust|Limit)/d' /etc/systemd/system/containerd.service
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
