#!/usr/bin/env bash
# Mounts the file systems of the services' volumes at the folders in $1, at each start of the machine, before the kubelet.
set -euo pipefail
root=$1
disks=${root%/*}/disks

# In a container, /dev has only those loop devices that there were when it started.
next_device() {
  local device
  device=$(losetup --find)
  device=${device%% *}
  [[ -b $device ]] || mknod -m 0660 "$device" b 7 "${device#/dev/loop}"
}

# Whether a file system fills its file. One that could not grow while it was in use does not.
fills() {
  (($(dumpe2fs -h "$1" 2>/dev/null | awk '/^Block count:/ { n = $3 } /^Block size:/ { print n * $3 }') >= $(stat -c %s "$1")))
}

for file in "$disks"/*.img; do
  [[ -e $file ]] || continue
  folder=${file##*/} folder=$root/${folder%.img}
  if mountpoint -q "$folder"; then continue; fi
  if ! fills "$file"; then
    e2fsck -fp "$file" >/dev/null || true
    resize2fs "$file" >/dev/null 2>&1 || echo "$file does not grow to its size" >&2
  fi
  for attempt in 1 2 3 4 5; do
    next_device || true
    # Another machine may have taken the device meanwhile, where several share a kernel.
    if mount -o loop,noatime "$file" "$folder"; then break; fi
    ((attempt < 5)) || exit 1
  done
  chmod 0770 "$folder"
  # Some servers take a folder that they did not make for damage.
  rmdir "$folder/lost+found" 2>/dev/null || true
done
