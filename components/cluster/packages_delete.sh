#!/usr/bin/env bash
# Removes what packages.sh installed, but no package that existed before or that another one needs by now, as Docker needs
# containerd, or that apt keeps. Runs last, so it answers for all of the undo.
systemctl disable -q --now kubelet.service 2>/dev/null || true
restore_drop_in kubelet.service processors
restore /etc/systemd/system/kubelet.service /usr/local/bin/kube{adm,let,ctl}
systemctl daemon-reload
restore /etc/modules-load.d/argus.conf /etc/sysctl.d/90-argus.conf /etc/systemd/networkd.conf.d/90-argus.conf
rmdir --ignore-fail-on-non-empty /etc/systemd/networkd.conf.d 2>/dev/null || true
[[ ! -e $STATE/sysctl ]] || sysctl -q -p "$STATE/sysctl" 2>/dev/null || true
# others PACKAGE...: prints the packages that Argus did not install and that would go with these.
others() {
  LC_ALL=C apt-get -s purge "$@" | awk '$1 == "Purg" || $1 == "Remv" { print $2 }' | LC_ALL=C sort -u |
    LC_ALL=C comm -23 - <(LC_ALL=C sort -u "$STATE/packages")
}
# kept PACKAGE...: prints those that apt removes only by force: somebody holds them, or the system protects them, as it does
# e2fsprogs, which other disks of the machine may need by now.
kept() {
  # shellcheck disable=SC2016 # dpkg-query's own variables
  dpkg-query --show --showformat='${Package} ${db:Status-Want} ${Essential} ${Protected} ${Important}\n' "$@" 2>/dev/null |
    awk '/ (hold|yes)/ { print $1 }'
}
if [[ -s $STATE/packages ]]; then
  mapfile -t packages < <(sort -u "$STATE/packages")
  need=$(kept "${packages[@]}") || true
  if [[ $need ]]; then
    say "${need//$'\n'/, } stays, because it is held or the system protects it"
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | grep -vxF "$need")
  fi
  # A question takes apt-get seconds, so each package has its own only if somebody needs one of them.
  if ((${#packages[@]})) && { ! need=$(others "${packages[@]}") || [[ $need ]]; }; then
    removable=()
    for package in "${packages[@]}"; do
      need=$(others "$package") || need=''
      if [[ $need ]]; then say "$package stays, because ${need//$'\n'/, } needs it"; else removable+=("$package"); fi
    done
    packages=("${removable[@]}")
  fi
  if ((${#packages[@]})); then
    # A configuration that somebody had left there is theirs, and is there again by now; a purge would take it too.
    theirs=$(mktemp)
    { dpkg --verify "${packages[@]}" 2>/dev/null || true; } | awk '/^..5/ && $2 == "c" { print $3 }' |
      tar --create --absolute-names --file "$theirs" --files-from -
    apt_get purge -y --autoremove "${packages[@]}"
    tar --extract --absolute-names --file "$theirs"
    rm -f "$theirs"
  fi
fi
rmdir --ignore-fail-on-non-empty /etc/kubernetes 2>/dev/null || true
# The folder may be a mount point, which cannot be removed.
find "$STATE" -mindepth 1 -delete
rmdir "$STATE" 2>/dev/null || true
echo undone
