#!/usr/bin/env bash
# containerd with the given configuration, the plugins of the pods' network, and the first images.
: "${CONFIG:?}" "${MIRROR?}" "${NETWORK:?}" "${PLUGINS:?}"
: "${VERSION:?}" "${REPOSITORY:?}" "${IMAGES:?}"

# A node that joined before there was a choice is on Argus's own network.
if is_member; then
  has=$(cat "$STATE/network" 2>/dev/null || echo built-in)
  [[ $has == "$NETWORK" ]] || die "this node's network is of the kind '$has', and its pods cannot change to '$NETWORK'" \
    "while the cluster lives: set argus:cluster.network back, or \`pulumi destroy\` first"
else
  echo "$NETWORK" >"$STATE/network"
fi
if [[ $NETWORK == manifest ]]; then
  # What comes later is the network's own, and goes with the node: network_manifest_delete.sh.
  mkdir -p /etc/cni/net.d "$PLUGINS" /var/lib/cni
  [[ -e $STATE/plugins ]] ||
    find /etc/cni/net.d "$PLUGINS" /var/lib/cni \( -type f -o -type l \) | LC_ALL=C sort >"$STATE/plugins"
  # Its own plugin may call the common ones.
  for plugin in /usr/lib/cni/*; do
    [[ -e $PLUGINS/${plugin##*/} ]] || install -m 0755 "$plugin" "$PLUGINS"
  done
fi

remember_unit containerd.service
put /etc/containerd/config.toml 0644 <<<"$CONFIG"
if [[ $MIRROR ]]; then
  put /etc/containerd/certs.d/_default/hosts.toml 0644 <<<"$MIRROR"
else
  restore /etc/containerd/certs.d/_default/hosts.toml
fi
systemctl enable -q containerd.service
if [[ $CHANGED == true ]]; then systemctl restart containerd.service; else systemctl start containerd.service; fi
until_true 30 ctr version >/dev/null || die "containerd does not answer: journalctl -u containerd"

# The images that this machine's own pods need, now and on all machines at once, not one after the other in the joins. A
# node has its images, and gets others when it is upgraded.
is_member || pull_images
