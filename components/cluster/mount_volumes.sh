#!/usr/bin/env bash
# Mounts the file systems of the services' volumes at the folders in $1, at each start of the machine, before the kubelet. Waits
# for a Tang server that opens the key of encrypted ones: for $2 seconds, else for as long as it takes.
set -euo pipefail
root=$1 patience=${2:-}
disks=${root%/*}/disks key_file=/etc/argus/volume-key
key=''

# In a container, /dev has only those loop devices that there were when it started.
next_device() {
  local device
  device=$(losetup --find)
  device=${device%% *}
  [[ -b $device ]] || mknod -m 0660 "$device" b 7 "${device#/dev/loop}"
}

# with_device COMMAND...: runs what takes the next loop device, which another machine may have taken meanwhile, where several
# share a kernel.
with_device() {
  for _ in 1 2 3 4 5; do
    next_device || true
    if "$@"; then return 0; fi
  done
  return 1
}

await_key() {
  local said=''
  [[ -s $key_file ]] || {
    echo "error: there is no $key_file, so the encrypted volumes stay closed" >&2
    exit 1
  }
  until key=$(key_in "$key_file"); do
    [[ ! $patience ]] || ((SECONDS < patience)) || {
      echo "error: no Tang server opens $key_file: $(head -n 1 "$key_file")" >&2
      exit 1
    }
    [[ $said ]] || echo "waiting for a Tang server that opens $key_file: $(head -n 1 "$key_file")" >&2
    said=yes
    sleep 5
  done
}

# Whether a file system fills its file or its device. One that could not grow while it was in use does not.
fills() {
  local size
  if [[ -b $1 ]]; then size=$(blockdev --getsize64 "$1"); else size=$(stat -c %s "$1"); fi
  (($(dumpe2fs -h "$1" 2>/dev/null | awk '/^Block count:/ { n = $3 } /^Block size:/ { print n * $3 }') >= size))
}

for file in "$disks"/*.img; do
  [[ -e $file ]] || continue
  name=${file##*/} name=${name%.img}
  folder=$root/$name device=$file options=loop,noatime
  if mountpoint -q "$folder"; then continue; fi
  if is_encrypted "$file"; then
    device=/dev/mapper/$(mapping "$name") options=noatime
    if [[ ! -b $device ]]; then
      [[ $key ]] || await_key
      with_device with_key "$key" open "$file" "${device##*/}"
    fi
  fi
  if ! fills "$device"; then
    e2fsck -fp "$device" >/dev/null || true
    resize2fs "$device" >/dev/null 2>&1 || echo "$file does not grow to its size" >&2
  fi
  with_device mount -o "$options" "$device" "$folder"
  chmod 0770 "$folder"
  # Some servers take a folder that they did not make for damage.
  rmdir "$folder/lost+found" 2>/dev/null || true
done
