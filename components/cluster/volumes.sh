#!/usr/bin/env bash
# Makes a machine's local volumes, one for each stateful service: folders, or file systems of their own in files beside them.
: "${ROOT:?}" "${VOLUMES:?}" "${BOUNDED:?}" "${MOUNT:?}"
alone volumes
disks=${ROOT%/*}/disks
tool=/usr/local/lib/argus/mount-volumes

# A file of that many GiB with an ext4; its blocks are taken now, so that no other program can take them later. A consumer's
# files are small: twice as many as by default.
make_disk() {
  local file=$1 gib=$2
  mkdir -p "$disks"
  rm -f "$file.new"
  fallocate -l "${gib}G" "$file.new" || {
    rm -f "$file.new"
    die "the disk has no room for a volume of $gib GiB: see argus:storage.bounded and the services' volumeGiB"
  }
  mkfs.ext4 -q -F -m 0 -i 8192 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$file.new" </dev/null >&2
  mv "$file.new" "$file"
}

# Grows the file system of a volume that is mounted, while it is in use. It never shrinks. In a container, root may lack the
# right (CAP_SYS_RESOURCE); mounting it again grows it then.
grow() {
  local file=$1 gib=$2 folder=$3 device
  (($(stat -c %s "$file") < gib * 2 ** 30)) || return 0
  fallocate -l "${gib}G" "$file" || die "the disk has no room to grow ${folder##*/} to $gib GiB"
  device=$(findmnt -n -o SOURCE --target "$folder")
  losetup --set-capacity "$device"
  resize2fs "$device" >/dev/null 2>&1 ||
    say "$device, the volume of ${folder##*/}, does not grow while it is in use: it has its $gib GiB when this machine starts again"
}

while read -r volume gib; do
  folder=$ROOT/$volume file=$disks/$volume.img
  [[ -d $folder ]] || install -d -m 0770 "$folder"
  if [[ $BOUNDED != true || -e $file ]] || mountpoint -q "$folder"; then continue; fi
  if [[ $(ls -A "$folder") ]]; then
    say "$folder holds data already, so it stays a folder of the disk"
    continue
  fi
  make_disk "$file" "$gib"
  # Where it is not mounted, nothing is written into the bare folder.
  chattr +i "$folder" 2>/dev/null || true
done <<<"$VOLUMES"

compgen -G "$disks/*.img" >/dev/null || exit 0
put "$tool" 0755 <<<"$MOUNT"
"$tool" "$ROOT"
while read -r volume gib; do
  file=$disks/$volume.img
  [[ ! -e $file ]] || grow "$file" "$gib" "$ROOT/$volume"
done <<<"$VOLUMES"
put /etc/systemd/system/argus-volumes.service 0644 <<FILE
[Unit]
Description=File systems of the services' volumes
RequiresMountsFor=$ROOT
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$tool $ROOT

[Install]
RequiredBy=kubelet.service
FILE
systemctl daemon-reload
systemctl enable -q argus-volumes.service
