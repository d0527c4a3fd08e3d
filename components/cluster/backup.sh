#!/usr/bin/env bash
# Installs a timer for etcd snapshots on this control plane, and the program that restores etcd from one.
: "${SCHEDULE:?}" "${DIRECTORY:?}" "${KEEP:?}" "${COPY_TO?}" "${COPY_HOST_KEY?}" "${RECIPIENTS?}" "${KEY_RECIPIENTS?}"
: "${TOOL:?}" "${BACKUP:?}" "${RESTORE:?}"
systemd-analyze calendar "$SCHEDULE" >/dev/null 2>&1 ||
  die "argus:backup.schedule: systemd does not know $SCHEDULE (man systemd.time, Calendar Events)"

# Standard input: the SSH key for the host that receives copies.
key=$(cat)
rm -f /etc/argus/backup-key /etc/argus/backup-hosts /var/lib/argus/backup-hosts
if [[ $COPY_TO ]]; then
  [[ $key ]] || die "the key for copies did not arrive on standard input: does a login shell here read it?"
  mkdir -p /etc/argus
  (umask 077 && printf '%s\n' "$key" >/etc/argus/backup-key)
  host=${COPY_TO%%:*}
  echo "${host#*@} $COPY_HOST_KEY" >/etc/argus/backup-hosts
fi
put /etc/argus/backup 0644 <<<"$(printf '%s=%q\n' DIRECTORY "$DIRECTORY" KEEP "$KEEP" COPY_TO "$COPY_TO" \
  RECIPIENTS "$RECIPIENTS" KEY_RECIPIENTS "$KEY_RECIPIENTS")"
put /usr/local/lib/argus/etcd-tool 0755 <<<"$TOOL"
put /usr/local/lib/argus/backup-etcd 0755 <<<"$BACKUP"
put /usr/local/lib/argus/restore-etcd 0755 <<<"$RESTORE"
put /etc/systemd/system/argus-backup.service 0644 <<'FILE'
[Unit]
Description=Snapshot of etcd

[Service]
Type=oneshot
ExecStart=/usr/local/lib/argus/backup-etcd
Nice=10
IOSchedulingClass=idle
FILE
put /etc/systemd/system/argus-backup.timer 0644 <<FILE
[Unit]
Description=Snapshots of etcd

[Timer]
OnCalendar=$SCHEDULE
# Not on all control planes at once.
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
FILE
systemctl daemon-reload
systemctl enable -q argus-backup.timer
systemctl restart argus-backup.timer
