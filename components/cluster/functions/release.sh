#!/usr/bin/env bash
# Downloads of one Kubernetes release, VERSION: its programs from BINARIES, its images from REPOSITORY. CHECKSUMS has a
# line `NAME SHA-256` for each program, DIGESTS a line `IMAGE DIGEST` for each image; both may be empty.

# fetch_one NAME: downloads one binary and checks it against its line of CHECKSUMS, or else against the server's `.sha256`.
# Supports two layouts: a flat mirror (v1.2.3/kubelet) and upstream's (v1.2.3/bin/linux/amd64/kubelet).
fetch_one() {
  local name=$1 target=/usr/local/bin/$1 stamp=$STATE/binaries/$1 base url sum
  [[ -x $target && $(cat "$stamp" 2>/dev/null) == "$BINARIES $VERSION" ]] && return
  for base in "v$VERSION" "v$VERSION/bin/linux/$(dpkg --print-architecture)"; do
    url=$BINARIES/$base/$name
    curl -fsSL --retry 3 -o "$target.new" "$url" 2>/dev/null || continue
    sum=$(awk -v name="$name" '$1 == name { print $2 }' <<<"$CHECKSUMS")
    [[ $sum ]] || sum=$(curl -fsSL --retry 3 "$url.sha256" 2>/dev/null) || {
      rm -f "$target.new"
      die "$url has no checksum: put $name.sha256 beside it, or give argus:cluster.checksums[\"$VERSION/$name\"]"
    }
    echo "${sum%% *}  $target.new" | sha256sum --check --status || {
      rm -f "$target.new"
      die "$url does not have the SHA-256 ${sum%% *}: check argus:cluster.binaries and argus:cluster.checksums"
    }
    chmod 0755 "$target.new"
    remember "$target"
    mv -f "$target.new" "$target"
    mkdir -p "$STATE/binaries"
    echo "$BINARIES $VERSION" >"$stamp"
    return
  done
  die "$name $VERSION is not at $BINARIES: check argus:cluster.binaries and that this machine reaches it"
}

# fetch NAME...: downloads several binaries in parallel.
fetch() {
  local name fetches=()
  for name in "$@"; do
    fetch_one "$name" &
    fetches+=($!)
  done
  for name in "${fetches[@]}"; do wait "$name"; done
}

# pull_images: pulls, in parallel, those of kubeadm's images whose names match IMAGES. An image with a line in DIGESTS must
# have that digest: kubeadm starts it by its tag, but from what was pulled here.
pull_images() {
  local image named each wanted got pulls=()
  named=$(kubeadm config images list --image-repository "$REPOSITORY" --kubernetes-version "v$VERSION" 2>/dev/null) ||
    die "kubeadm does not say which images Kubernetes $VERSION has"
  while read -r image; do
    [[ ${image##*/} =~ ^($IMAGES): ]] || continue
    ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null 2>&1 &
    pulls+=("$! $image")
  done <<<"$named"
  for each in "${pulls[@]}"; do
    image=${each#* }
    wait "${each%% *}" || die "cannot pull $image: check argus:cluster.imageRepository and registryMirror"
    wanted=$(awk -v image="$image" '$1 == image { print $2 }' <<<"$DIGESTS")
    [[ $wanted ]] || continue
    got=$(ctr --namespace k8s.io images list "name==$image" | awk 'NR > 1 { print $3 }')
    [[ $got == "$wanted" ]] || {
      ctr --namespace k8s.io images remove "$image" >/dev/null
      die "$image has the digest ${got:-(unknown)}, not $wanted: check argus:images.digests[\"$image\"]"
    }
  done
}
