#!/usr/bin/env bash
# Makes a machine's local volumes, one for each stateful service: folders, or file systems of their own in files beside them,
# which may be encrypted.
: "${ROOT:?}" "${VOLUMES:?}" "${BOUNDED:?}" "${KEY_NAME?}" "${TANG?}" "${MOUNT:?}"
alone volumes
disks=${ROOT%/*}/disks key_file=/etc/argus/volume-key
change=$key_file.change # while the key changes: each volume, and its slots that are not of the former key
tool=/usr/local/lib/argus/mount-volumes
key=''
# How a key gets into a volume's header: it is random, so nobody guesses it, and stretching it would only take memory.
as_it_is=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)

# The key as its file has it: in clear, or for each Tang server as that one helps to open it.
sealed() {
  local url thumbprint
  [[ $TANG ]] || { echo "$1" && return; }
  while read -r url thumbprint; do
    printf %s "$1" | timeout 30 clevis encrypt tang "{\"url\":\"$url\",\"thp\":\"$thumbprint\"}" ||
      die "argus:storage.encryption.tang: $url does not seal the key of this machine's volumes (see above): it must answer," \
        "and have the thumbprint $thumbprint (tang-show-keys prints it there)"
    echo
  done <<<"$TANG"
}

# seals_open FILE KEY: tries each server's seal by itself, as the first one that opens hides the others.
seals_open() {
  local name text url number=0
  {
    read -r name
    while read -r text; do
      number=$((number + 1))
      [[ $(key_in <(printf '%s\n' "$name" "$text")) == "$2" ]] || {
        url=$(sed -n "${number}s/ .*//p" <<<"$TANG")
        die "argus:storage.encryption.tang: what ${url:-$1} sealed does not open again"
      }
    done
  } <"$1"
}

slots_of() { cryptsetup luksDump "$1" | awk '/^[^ \t]/ { keys = /^Keyslots:/ } keys && /^  [0-9]+: / { print int($1) }'; }

# The slot of a volume that the key opens.
own_slot() {
  local own
  own=$(with_key "$key" open --verbose --test-passphrase "$1" | awk '/^Key slot [0-9]+ unlocked/ { print $3 }') || true
  [[ $own ]] || die "$1 does not open with $key_file"
  echo "$own"
}

# Ends a change of keys, also one that was cut short: takes those slots out that it left, or made, beside the key in use. Other
# slots stay: somebody else made them.
end_change() {
  local file kept own slot slots
  [[ -e $change ]] || return 0
  while read -r file kept; do
    [[ -e $file ]] || continue
    own=$(own_slot "$file") || exit 1
    slots=$(slots_of "$file")
    for slot in $slots; do
      if [[ $slot == "$own" || " $kept " == *" $slot "* ]]; then continue; fi
      say "key slot $slot of $file is removed: it is of a change of keys"
      with_key "$key" luksKillSlot "$file" "$slot"
    done
  done <"$change"
  rm -f "$change"
}

# begin_change FILE...: notes the slots that are somebody else's.
begin_change() {
  local file own slot kept
  for file in "$@"; do
    own=$(own_slot "$file") || exit 1
    kept=''
    for slot in $(slots_of "$file"); do [[ $slot == "$own" ]] || kept+=" $slot"; done
    echo "$file$kept"
  done >"$change.new"
  sync "$change.new"
  mv -f "$change.new" "$change"
}

# take_key FILE...: the machine's key of its encrypted volumes, which these files hold. It is drawn here, and again where the
# stack names another one, or other Tang servers. Where nothing is encrypted, there is none. The former key opens all volumes
# until the new one does; then that one alone of the two.
take_key() {
  local wanted="$KEY_NAME${TANG:+ ${TANG//$'\n'/ }}" next file
  if ((!$#)) && [[ ! $KEY_NAME ]]; then
    rm -f "$key_file"{,.new,.change,.change.new}
    rmdir --ignore-fail-on-non-empty "${key_file%/*}" 2>/dev/null || true
    return 0
  fi
  if [[ -s $key_file ]]; then
    key=$(key_in "$key_file") || die "no Tang server opens the key of this machine's volumes ($(head -n 1 "$key_file")): start one"
  elif (($#)); then
    die "$key_file is gone, so the encrypted volumes cannot be opened again: put it back, or take this machine out of the" \
      "stack and in again"
  fi
  end_change
  [[ $KEY_NAME ]] || return 0
  if [[ ! $key || $(head -n 1 "$key_file") != "$wanted" ]]; then
    next=$(head -c 32 /dev/urandom | base64 -w 0)
    mkdir -p "${key_file%/*}"
    (umask 077 && { echo "$wanted" && sealed "$next"; } >"$key_file.new") || exit 1
    seals_open "$key_file.new" "$next"
    begin_change "$@"
    for file in "$@"; do
      with_key "$key" luksAddKey "${as_it_is[@]}" "$file" <(printf %s "$next")
      with_key "$next" open --test-passphrase "$file"
    done
    sync "$key_file.new"
    mv -f "$key_file.new" "$key_file"
    sync "${key_file%/*}"
    key=$next
    end_change
  fi
}

# An ext4 for a consumer's files, which are small: twice as many as by default.
make_file_system() {
  mkfs.ext4 -q -F -m 0 -i 8192 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$1" </dev/null >&2
}

# A file of that many GiB with a file system; its blocks are taken now, so that no other program can take them later.
make_disk() {
  local file=$1 gib=$2 name=$3
  install -d -m 0700 "$disks"
  rm -f "$file.new"
  fallocate -l "${gib}G" "$file.new" || {
    rm -f "$file.new"
    die "the disk has no room for a volume of $gib GiB: see argus:storage.bounded and the services' volumeGiB"
  }
  if [[ $KEY_NAME ]]; then
    if [[ -b /dev/mapper/$name ]]; then cryptsetup close "$name"; fi # of a run that was killed
    with_key "$key" luksFormat --type luks2 --sector-size 4096 "${as_it_is[@]}" "$file.new"
    with_key "$key" open "$file.new" "$name"
    make_file_system "/dev/mapper/$name"
    cryptsetup close "$name"
  else
    make_file_system "$file.new"
  fi
  mv "$file.new" "$file"
}

# Grows the file system of a volume that is mounted, while it is in use. It never shrinks. In a container, root may lack the
# right (CAP_SYS_RESOURCE); mounting it again grows it then.
grow() {
  local file=$1 gib=$2 folder=$3 device loop
  (($(stat -c %s "$file") < gib * 2 ** 30)) || return 0
  fallocate -l "${gib}G" "$file" || die "the disk has no room to grow ${folder##*/} to $gib GiB"
  device=$(findmnt -n -o SOURCE --target "$folder") loop=$device
  if is_encrypted "$file"; then loop=$(losetup -n -O NAME -j "$file"); fi
  losetup --set-capacity "$loop"
  if is_encrypted "$file"; then with_key "$key" resize "$(mapping "${folder##*/}")"; fi
  resize2fs "$device" >/dev/null 2>&1 ||
    say "$device, the volume of ${folder##*/}, does not grow while it is in use: it has its $gib GiB when this machine starts again"
}

encrypted=()
for file in "$disks"/*.img; do
  if [[ -e $file ]] && is_encrypted "$file"; then encrypted+=("$file"); fi
done
take_key "${encrypted[@]}"

while read -r volume gib; do
  folder=$ROOT/$volume file=$disks/$volume.img
  [[ -d $folder ]] || install -d -m 0770 "$folder"
  if [[ $KEY_NAME && -e $file ]] && ! is_encrypted "$file"; then say "$folder was made in clear, and stays so"; fi
  if [[ $BOUNDED != true || -e $file ]] || mountpoint -q "$folder"; then continue; fi
  if [[ $(ls -A "$folder") ]]; then
    say "$folder holds data already, so it stays a folder of the disk"
    continue
  fi
  make_disk "$file" "$gib" "$(mapping "$volume")"
  # Where it is not mounted, nothing is written into the bare folder.
  chattr +i "$folder" 2>/dev/null || true
done <<<"$VOLUMES"

compgen -G "$disks/*.img" >/dev/null || exit 0
put "$tool" 0755 <<<"$MOUNT"
"$tool" "$ROOT" 60
while read -r volume gib; do
  file=$disks/$volume.img
  [[ ! -e $file ]] || grow "$file" "$gib" "$ROOT/$volume"
done <<<"$VOLUMES"
put /etc/systemd/system/argus-volumes.service 0644 <<FILE
[Unit]
Description=File systems of the services' volumes
RequiresMountsFor=$ROOT
Wants=network-online.target
After=network-online.target
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
