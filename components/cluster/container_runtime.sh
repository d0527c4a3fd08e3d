#!/usr/bin/env bash
# Configures containerd and the CNI plugins, and pulls the first images.
: "${CONFIG:?}" "${REGISTRIES?}" "${LOGINS:?}" "${NETWORK:?}" "${PLUGINS:?}"
: "${VERSION:?}" "${REPOSITORY:?}" "${IMAGES:?}" "${DIGESTS?}" "${PROXY?}" "${GO_MAX_PROCS?}"

# A node without a record joined before other networks were supported, so it uses Argus's own.
if is_member; then
  has=$(cat "$STATE/network" 2>/dev/null || echo built-in)
  [[ $has == "$NETWORK" ]] || die "this node's network is of the kind '$has', and its pods cannot change to '$NETWORK'" \
    "while the cluster lives: set argus:cluster.network back, or \`pulumi destroy\` first"
else
  echo "$NETWORK" >"$STATE/network"
fi
if [[ $NETWORK == manifest ]]; then
  # Record the files that exist now: network_manifest_delete.sh removes those that the network adds later.
  mkdir -p /etc/cni/net.d "$PLUGINS" /var/lib/cni
  [[ -e $STATE/plugins ]] ||
    find /etc/cni/net.d "$PLUGINS" /var/lib/cni \( -type f -o -type l \) | LC_ALL=C sort >"$STATE/plugins"
  # The network's own plugin may call the standard ones.
  for plugin in /usr/lib/cni/*; do
    [[ -e $PLUGINS/${plugin##*/} ]] || install -m 0755 "$plugin" "$PLUGINS"
  done
fi

remember_unit containerd.service
put_registries
# Standard input: the logins at registries, as a part of the configuration.
logins=$(cat)
if [[ $LOGINS == true ]]; then
  [[ $logins ]] || die "the logins at registries did not arrive on standard input: does a login shell here read it?"
  put /etc/containerd/config.toml 0600 <<<"$CONFIG"$'\n'"$logins"
else
  put /etc/containerd/config.toml 0644 <<<"$CONFIG"
fi
# containerd pulls the images of pods. Its containers outlive its restart.
drop_in containerd.service proxy "$(proxy_of_service)"
drop_in containerd.service processors "$(processors_of_service)"
systemctl daemon-reload
systemctl enable -q containerd.service
if [[ $CHANGED == true ]]; then systemctl restart containerd.service; else systemctl start containerd.service; fi
# serves_pods: whether containerd has loaded what the kubelet speaks to.
serves_pods() {
  ctr plugins list 2>/dev/null |
    awk '$1 == "io.containerd.grpc.v1" && $2 == "cri" && $NF == "ok" { ok = 1 } END { exit !ok }'
}
until_true 30 serves_pods ||
  die "containerd does not serve pods: \`ctr plugins list\` and \`journalctl -u containerd\` tell why"

# Pull the images of the node's own pods now, on all machines in parallel, rather than during the joins. A member already
# has its images; an upgrade pulls new ones.
if ! is_member; then pull_images; fi
