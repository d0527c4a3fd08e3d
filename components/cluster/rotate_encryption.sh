#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: makes KEY the key that encrypts Secrets. First every API server can read with it, then
# every one writes with it, then all Secrets are rewritten, and then the old key goes: at each moment every API server reads
# what any other has written. May be cut short anywhere and repeated. Keys travel over SSH only, and are not stored here.
: "${KEY:?}" "${HOSTS:?}" "${ENDPOINT:?}" "${READ:?}" "${PUT:?}" "${REWRITE:?}"

declare -A keys=()
silent=()
while read -r host; do
  if answers "$host"; then keys[$host]=$(told "$host" "$READ"); else silent+=("$host"); fi
done <<<"$HOSTS"

# others KEYS: the lines of all keys but KEY.
others() { awk -v key="$KEY" '$1 != key && NF' <<<"$1"; }
settled=true secret='' old='' writes=false
for host in "${!keys[@]}"; do
  [[ ${keys[$host]%% *} == "$KEY" && ! $(others "${keys[$host]}") ]] || settled=false
  [[ ${keys[$host]%% *} != "$KEY" ]] || writes=true
  secret=${secret:-$(awk -v key="$KEY" '$1 == key { print $2 }' <<<"${keys[$host]}")}
  old=${old:-$(others "${keys[$host]}")}
done
if [[ $settled == true ]]; then exit 0; fi
if ((${#silent[@]})); then
  echo "error: the key of Secrets stays as it is, because ${silent[*]} does not answer: start it, or take it out of" \
    "argus:machines, and run \`pulumi up\` again" >&2
  exit 1
fi
secret=${secret:-$(head -c 32 /dev/urandom | base64)}

# everywhere KEYS: the keys of every control plane, one after the other.
everywhere() {
  local host
  while read -r host; do
    told "$host" "$PUT" <(printf '%s\n' "$1")
  done <<<"$HOSTS"
}
# A run that was cut short may have gone further: then no API server goes back to writing with the old key.
if [[ $writes == false ]]; then everywhere "${old:-identity}"$'\n'"$KEY $secret"; fi
everywhere "$KEY $secret${old:+$'\n'$old}"
ask "$ENDPOINT" "$REWRITE"
everywhere "$KEY $secret"
echo "Secrets are encrypted with $KEY" >&2
