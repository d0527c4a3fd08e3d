#!/usr/bin/env bash
# etcd-tool FOLDER PROGRAM ARGUMENTS: runs etcdctl or etcdutl from etcd's image, so that versions match, with FOLDER mounted
# at /work and etcd's certificates at /pki.
set -euo pipefail
folder=$1
shift
manifest=/etc/kubernetes/manifests/etcd.yaml
[[ -e $manifest ]] || manifest=/etc/kubernetes/restoring/etcd.yaml
image=$(sed -n 's/^ *image: //p' "$manifest")
exec ctr --namespace k8s.io run --rm --privileged --net-host \
  --mount "type=bind,src=/etc/kubernetes/pki/etcd,dst=/pki,options=rbind:ro" \
  --mount "type=bind,src=$folder,dst=/work,options=rbind:rw" "$image" "argus-etcd-$$" "$@"
