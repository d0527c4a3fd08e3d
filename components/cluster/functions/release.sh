#!/usr/bin/env bash
# Downloads of one Kubernetes release, VERSION: its programs from BINARIES, its images from REPOSITORY.

# fetch_one NAME: downloads one binary and checks it against its `.sha256` if the server has one. Supports two layouts:
# a flat mirror (v1.2.3/kubelet) and upstream's (v1.2.3/bin/linux/amd64/kubelet).
fetch_one() {
  local name=$1 target=/usr/local/bin/$1 stamp=$STATE/binaries/$1 base url sum
  [[ -x $target && $(cat "$stamp" 2>/dev/null) == "$BINARIES $VERSION" ]] && return
  for base in "v$VERSION" "v$VERSION/bin/linux/$(dpkg --print-architecture)"; do
    url=$BINARIES/$base/$name
    curl -fsSL --retry 3 -o "$target.new" "$url" 2>/dev/null || continue
    if sum=$(curl -fsSL "$url.sha256" 2>/dev/null); then
      echo "${sum%% *}  $target.new" | sha256sum --check --quiet
    fi
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

# pull_images: pulls, in parallel, those of kubeadm's images whose names match IMAGES.
pull_images() {
  local image each pulls=()
  while read -r image; do
    [[ ${image##*/} =~ ^($IMAGES): ]] || continue
    ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null 2>&1 &
    pulls+=("$! $image")
  done < <(kubeadm config images list --image-repository "$REPOSITORY" --kubernetes-version "v$VERSION" 2>/dev/null)
  for each in "${pulls[@]}"; do
    wait "${each%% *}" || die "cannot pull ${each#* }: check argus:cluster.imageRepository and registryMirror"
  done
}
