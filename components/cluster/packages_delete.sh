#!/usr/bin/env bash
# Removes what packages.sh installed, but no package that existed before. Runs last, so it answers for all of the undo.
systemctl disable -q --now kubelet.service 2>/dev/null || true
restore /etc/systemd/system/kubelet.service /usr/local/bin/kube{adm,let,ctl}
systemctl daemon-reload
restore /etc/modules-load.d/argus.conf /etc/sysctl.d/90-argus.conf
[[ ! -e $STATE/sysctl ]] || sysctl -q -p "$STATE/sysctl" 2>/dev/null || true
if [[ -s $STATE/packages ]]; then
  export DEBIAN_FRONTEND=noninteractive
  mapfile -t packages < <(sort -u "$STATE/packages")
  apt-get purge -qq -y --autoremove "${packages[@]}" >/dev/null
fi
rmdir --ignore-fail-on-non-empty /etc/kubernetes 2>/dev/null || true
# The folder may be a mount point, which cannot be removed.
find "$STATE" -mindepth 1 -delete
rmdir "$STATE" 2>/dev/null || true
echo undone
