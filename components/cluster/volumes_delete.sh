#!/usr/bin/env bash
# Deletes the local volumes with their data. Of an encrypted one the header goes first: without it no key opens what is left of
# it on the disk.
: "${ROOT:?}"

# Whether a volume is encrypted, or was about to be when its making was cut short: then the open device is Argus's.
has_header() {
  local each
  for each in "$1" "$1.new"; do
    if [[ -e $each ]] && is_encrypted "$each"; then return 0; fi
  done
  return 1
}

for folder in "$ROOT"/*/; do
  folder=${folder%/}
  file=${ROOT%/*}/disks/${folder##*/}.img
  device=/dev/mapper/$(mapping "${folder##*/}")
  if [[ -e $file ]] && mountpoint -q "$folder"; then umount "$folder" || umount --lazy "$folder"; fi
  if [[ -b $device ]] && has_header "$file"; then cryptsetup close --deferred "${device##*/}"; fi
  [[ -e $file ]] || continue
  if is_encrypted "$file"; then cryptsetup erase --batch-mode "$file" || say "the header of $file is not wiped"; fi
  chattr -i "$folder" 2>/dev/null || true
done
if [[ -e /etc/systemd/system/argus-volumes.service ]]; then
  systemctl disable -q argus-volumes.service || true
  restore /etc/systemd/system/argus-volumes.service /usr/local/lib/argus/mount-volumes
  systemctl daemon-reload
fi
rm -rf "${ROOT:?}" "${ROOT%/*}/disks"
rm -f /etc/argus/volume-key{,.new,.change,.change.new}
rmdir --ignore-fail-on-non-empty /etc/argus 2>/dev/null || true
