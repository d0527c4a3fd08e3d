#!/usr/bin/env bash
# Deletes the local volumes with their data.
: "${ROOT:?}"
for folder in "$ROOT"/*/; do
  folder=${folder%/}
  [[ -e ${ROOT%/*}/disks/${folder##*/}.img ]] || continue
  if mountpoint -q "$folder"; then umount "$folder" || umount --lazy "$folder"; fi
  chattr -i "$folder" 2>/dev/null || true
done
if [[ -e /etc/systemd/system/argus-volumes.service ]]; then
  systemctl disable -q argus-volumes.service || true
  restore /etc/systemd/system/argus-volumes.service /usr/local/lib/argus/mount-volumes
  systemctl daemon-reload
fi
rm -rf "${ROOT:?}" "${ROOT%/*}/disks"
