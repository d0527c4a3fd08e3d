#!/usr/bin/env bash
# restore-etcd [BACKUP]: after the loss of etcd's majority, restores etcd on this control plane alone, from the given backup
# or the newest local one. An encrypted copy (.age) needs the operator's private key on standard input, which is not stored.
# etcd's old data is kept in /var/lib/argus/etcd-before-restore.
set -euo pipefail
# shellcheck source=/dev/null
. /etc/argus/backup
shopt -s nullglob
backups=("${DIRECTORY:?}"/etcd-*.tar.gz) # their names sort by time
backup=${1:-}
[[ $backup || ${#backups[@]} == 0 ]] || backup=${backups[-1]}
if [[ ! -r $backup ]]; then
  echo "there is no backup ${backup:-in $DIRECTORY}: name one" >&2
  exit 1
fi
member=$(cat /var/lib/argus/member)
manifests=/etc/kubernetes/manifests aside=/etc/kubernetes/restoring
rm -rf /var/lib/argus/.restore.* # what one that was cut short has left
work=$(mktemp -d -p /var/lib/argus .restore.XXXXXX)
begin_again() {
  rm -rf "$work"
  if [[ -d $aside ]]; then
    mv "$aside"/*.yaml "$manifests"/
    rmdir "$aside"
  fi
}
trap begin_again EXIT
opened() { if [[ $backup == *.age ]]; then age --decrypt --identity - "$backup"; else cat "$backup"; fi; }
opened | tar --extract --gzip --directory "$work" ./etcd.db

echo "stopping the control plane of $member"
mkdir -p "$aside"
for program in kube-apiserver kube-controller-manager kube-scheduler etcd; do
  [[ ! -e $manifests/$program.yaml ]] || mv "$manifests/$program.yaml" "$aside/"
done
stopped() { ! pgrep -f '^(etcd|kube-apiserver) ' >/dev/null; }
for ((second = 0; second < 120; second++)); do
  if stopped; then break; fi
  sleep 1
done
stopped || {
  echo "etcd or the API server does not stop: nothing was restored" >&2
  exit 1
}

echo "restoring $backup"
peer=$(sed -n 's/.*--initial-advertise-peer-urls=//p' "$aside/etcd.yaml")
# The revision bump invalidates clients' caches, so that no client acts on objects that are not in the backup.
/usr/local/lib/argus/etcd-tool "$work" etcdutl snapshot restore /work/etcd.db --data-dir /work/data --name "$member" \
  --initial-cluster "$member=$peer" --initial-advertise-peer-urls "$peer" --bump-revision 1000000000 --mark-compacted
rm -rf /var/lib/argus/etcd-before-restore
mv /var/lib/etcd/member /var/lib/argus/etcd-before-restore
mv "$work/data/member" /var/lib/etcd/
begin_again

for ((second = 0; second < 240; second++)); do
  if curl -ksf --max-time 2 -o /dev/null https://localhost:6443/readyz; then
    echo "etcd runs again, on $member alone. Now take the other control planes out of argus:machines, \`pulumi up\`, then add" \
      "them or others, \`pulumi up\`"
    exit 0
  fi
  sleep 1
done
echo "the API server is not ready: its log is in /var/log/pods" >&2
exit 1
