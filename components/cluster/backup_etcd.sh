#!/usr/bin/env bash
# backup-etcd: saves a snapshot of etcd, deletes the oldest, and sends encrypted copies of the snapshot and of the cluster's
# keys to another host. The snapshot's Secrets are encrypted with a key that is not in it. What leaves this machine can be
# opened only by the operator's private keys, which are not here.
# Reads DIRECTORY, KEEP, COPY_TO (`user@host:/path`, or empty), RECIPIENTS and KEY_RECIPIENTS from /etc/argus/backup.
set -euo pipefail
# shellcheck source=/dev/null
. /etc/argus/backup
: "${DIRECTORY:?}" "${KEEP:?}" "${COPY_TO?}" "${RECIPIENTS?}" "${KEY_RECIPIENTS?}"
member=$(cat /var/lib/argus/member)
file=etcd-$member-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
# Tells this member's files from those of a member whose name begins alike.
times='????????T??????Z'
umask 077
mkdir -p "$DIRECTORY"
# What a backup that was cut short has left.
find "$DIRECTORY" -maxdepth 1 \( -name '.work.*' -o -name '.etcd-*' \) -mmin +120 -exec rm -rf {} +
work=$(mktemp -d -p "$DIRECTORY" .work.XXXXXX)
trap 'rm -rf "$work"' EXIT

/usr/local/lib/argus/etcd-tool "$work" etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/pki/ca.crt \
  --cert=/pki/healthcheck-client.crt --key=/pki/healthcheck-client.key snapshot save /work/etcd.db >&2
tar --create --gzip --directory "$work" --file "$work/$file" ./etcd.db
mv "$work/$file" "$DIRECTORY/$file"

# prune NAME: prints the command that keeps the newest files of that name in the present folder.
prune() { echo "ls -1t $1 | tail -n +$((KEEP + 1)) | xargs -r rm -f"; }
(cd "$DIRECTORY" && bash -c "$(prune "etcd-$member-$times.tar.gz")")
echo "$DIRECTORY/$file"
[[ $COPY_TO ]] || exit 0

# encrypted RECIPIENTS: encrypts standard input. It is sent only after all of it is encrypted: a copy cut short would replace
# an older whole one.
encrypted() {
  local each options=()
  while read -r each; do options+=(--recipient "$each"); done <<<"$1"
  age --encrypt "${options[@]}"
}
# send FOLDER FILE NAMES: copies $work/copy to a file on the other host and prunes the files of these names there. If the
# network goes meanwhile, `cat` there ends as if it had read everything: only the size tells that the copy is whole. One that
# was cut short goes with a later copy. The login shell there may be any; csh's take no line end between quotes.
send() {
  local size
  size=$(stat --format %s "$work/copy")
  ssh -i /etc/argus/backup-key -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
    -o UserKnownHostsFile=/etc/argus/backup-hosts -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no "${COPY_TO%%:*}" \
    "sh -c 'umask 077 && mkdir -p $1 && cd $1 && find . -maxdepth 1 -type f -name \".$3\" -mmin +120 -exec rm -f {} + && \
      cat >.$2 && wc -c <.$2 | grep -qx \" *$size\" && mv .$2 $2 && $(prune "$3")'" <"$work/copy"
}
folder=${COPY_TO#*:}
encrypted "$RECIPIENTS" <"$DIRECTORY/$file" >"$work/copy"
send "$folder" "$file.age" "etcd-$member-$times.tar.gz.age"

# The keys change seldom: they are sent when they, their recipients or the other host have changed.
keys() {
  local files=(pki)
  [[ ! -e /etc/kubernetes/encryption.yaml ]] || files+=(encryption.yaml)
  tar --create --sort=name --directory /etc/kubernetes "${files[@]}"
}
sent=$({ keys && echo "$COPY_TO $KEY_RECIPIENTS"; } | sha256sum)
if [[ $(cat /var/lib/argus/backup-keys 2>/dev/null) != "$sent" ]]; then
  keys | gzip | encrypted "$KEY_RECIPIENTS" >"$work/copy"
  send "$folder/keys" "keys-${file#etcd-}.age" "keys-$member-$times.tar.gz.age"
  echo "$sent" >/var/lib/argus/backup-keys
fi
