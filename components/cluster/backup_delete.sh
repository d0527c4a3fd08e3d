#!/usr/bin/env bash
# Removes the timer, its programs and the local backups, which hold all that the cluster knows; copies on other hosts stay.
systemctl disable -q --now argus-backup.timer 2>/dev/null || true
systemctl stop argus-backup.service 2>/dev/null || true # a backup may be running
if [[ -e /etc/argus/backup ]]; then
  # shellcheck source=/dev/null
  . /etc/argus/backup
  rm -rf "$DIRECTORY"/{,.}etcd-*.tar.gz "$DIRECTORY"/.work.*
  rmdir --ignore-fail-on-non-empty "$DIRECTORY" 2>/dev/null || true
fi
restore /etc/systemd/system/argus-backup.{timer,service} /usr/local/lib/argus/{etcd-tool,backup-etcd,restore-etcd} \
  /etc/argus/backup
rm -f /etc/argus/backup-key /etc/argus/backup-hosts /var/lib/argus/backup-keys /var/lib/systemd/timers/stamp-argus-backup.timer
rmdir --ignore-fail-on-non-empty /etc/argus /usr/local/lib/argus 2>/dev/null || true
systemctl daemon-reload
