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
    pull_image "$image" &
    pulls+=("$! $image")
  done <<<"$named"
  for each in "${pulls[@]}"; do
    image=${each#* }
    wait "${each%% *}" ||
      die "cannot pull $image (see above): check argus:cluster.imageRepository and registryMirror, and argus:images.registries"
    wanted=$(awk -v image="$image" '$1 == image { print $2 }' <<<"$DIGESTS")
    [[ $wanted ]] || continue
    got=$(ctr --namespace k8s.io images list "name==$image" | awk 'NR > 1 { print $3 }')
    [[ $got == "$wanted" ]] || {
      ctr --namespace k8s.io images remove "$image" >/dev/null
      die "$image has the digest ${got:-(unknown)}, not $wanted: check argus:images.digests[\"$image\"]"
    }
  done
}

# pull_image IMAGE: has containerd pull an image, and says why it cannot. Asked as the kubelet asks, by gRPC, it uses the
# logins and proxies of its own configuration; `ctr` does neither. The request is PullImageRequest{image: {image: IMAGE}}:
# that it is not compressed, its length in four bytes, and a first field in a first field, each with a length of two bytes.
pull_image() {
  local n=${#1} said
  said=$(
    curl -sS --noproxy '*' --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock -o /dev/null -D - \
      -H 'content-type: application/grpc' -H 'te: trailers' http://localhost/runtime.v1.ImageService/PullImage --data-binary @<(
        printf %b "$(printf '\\x%02x' 0 0 0 $(((n + 6) / 256)) $(((n + 6) % 256)) 10 $(((n + 3) % 128 + 128)) \
          $(((n + 3) / 128)) 10 $((n % 128 + 128)) $((n / 128)))$1"
      )
  ) || return
  said=${said//$'\r'/}
  if ! grep -qx 'grpc-status: 0' <<<"$said"; then
    said=$(sed -n 's/^grpc-message: //p' <<<"$said")
    say "$(printf %b "${said//%/\\x}")"
    return 1
  fi
}
