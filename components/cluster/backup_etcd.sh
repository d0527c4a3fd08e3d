#!/usr/bin/env bash
# backup-etcd: saves a snapshot of etcd with the keys needed to restore it on another machine, and deletes the oldest.
# Reads DIRECTORY, KEEP and COPY_TO (`user@host:/path`, or empty) from /etc/argus/backup.
set -euo pipefail
# shellcheck source=/dev/null
. /etc/argus/backup
: "${DIRECTORY:?}" "${KEEP:?}" "${COPY_TO?}"
name=etcd-$(cat /var/lib/argus/member)
file=$name-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
umask 077
mkdir -p "$DIRECTORY"
work=$(mktemp -d -p "$DIRECTORY" .work.XXXXXX)
trap 'rm -rf "$work"' EXIT

/usr/local/lib/argus/etcd-tool "$work" etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/pki/ca.crt \
  --cert=/pki/healthcheck-client.crt --key=/pki/healthcheck-client.key snapshot save /work/etcd.db >&2
cp -a /etc/kubernetes/pki "$work/"
[[ ! -e /etc/kubernetes/encryption.yaml ]] || cp -a /etc/kubernetes/encryption.yaml "$work/"
tar --create --gzip --directory "$work" --file "$DIRECTORY/.$file" .
mv "$DIRECTORY/.$file" "$DIRECTORY/$file"

prune="ls -1t $name-*.tar.gz | tail -n +$((KEEP + 1)) | xargs -r rm -f"
(cd "$DIRECTORY" && bash -c "$prune")
if [[ $COPY_TO ]]; then
  options=(-i /etc/argus/backup-key -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new
    -o UserKnownHostsFile=/var/lib/argus/backup-hosts)
  scp -q "${options[@]}" "$DIRECTORY/$file" "$COPY_TO/"
  # shellcheck disable=SC2029 # the path is expanded here on purpose
  ssh "${options[@]}" "${COPY_TO%%:*}" "cd '${COPY_TO#*:}' && $prune"
fi
echo "$DIRECTORY/$file"
