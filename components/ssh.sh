#!/usr/bin/env bash
# For scripts that run on the computer that runs Pulumi: how they speak to machines. ARGUS_SSH_KEY is the private key,
# ARGUS_KNOWN_HOSTS has `address type key` in a line for each host key: no other host is spoken to. The comment
# `may-have-ADDRESS` is on the lines of those who may have an address that moves.
: "${SSH_USER:?}" "${SSH_PORT:?}" "${ARGUS_SSH_KEY:?}" "${ARGUS_KNOWN_HOSTS:?}"

work=$(umask 077 && mktemp -d)
trap 'rm -rf "$work"' EXIT
(umask 077 && printf '%s\n' "$ARGUS_SSH_KEY" >"$work/key")
printf '%s\n' "$ARGUS_KNOWN_HOSTS" >"$work/known"

# given_up: whether the whole cluster is lost and goes, by `ARGUS_CLUSTER_LOST=true pulumi destroy`. Nobody is asked about
# a machine then.
given_up() { [[ ${ARGUS_CLUSTER_LOST:-} == true ]]; }

# keys_of HOST: the host keys that are right there, `type key` a line.
keys_of() { awk -v host="$1" '$1 == host { print $2, $3 }' "$work/known"; }

# on HOST COMMAND [FILE]: like ssh, 255 when the connection failed, as it does by an unknown key; see `stranger`.
# The configuration of whoever runs this is not asked, as pulumi-command does not: it might trust, or lead, elsewhere.
on() {
  local types status=0
  # The types in the order of the keys, ECDSA first: a host with several would else show one that is not known.
  types=$(keys_of "$1" | cut -d' ' -f1 | sort -u | paste -sd, -)
  [[ $types ]] || { echo "error: no host key of $1 is known" >&2 && exit 1; }
  ssh -F none -E "$work/said" -i "$work/key" -p "$SSH_PORT" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 \
    -o ServerAliveInterval=10 -o LogLevel=ERROR -o StrictHostKeyChecking=yes -o HostKeyAlias="$1" \
    -o HostKeyAlgorithms="$types" -o UserKnownHostsFile="$work/known" -o GlobalKnownHostsFile=/dev/null \
    -o CheckHostIP=no -o UpdateHostKeys=no "$SSH_USER@$1" "$2" <"${3:-/dev/null}" || status=$?
  mv -f "$work/said" "$work/last" 2>/dev/null || : >"$work/last"
  if ((status == 255)); then
    if stranger; then another_key "$1" >&2; else cat "$work/last" >&2; fi
  fi
  return "$status"
}

# given: keeps what is on standard input, to be given to `on` or `ask`, and prints where.
given() { cat >"$work/given" && echo "$work/given"; }

# stranger: whether the last `on` met a host whose key is not known.
stranger() { grep -qsE 'Host key verification failed|no matching host key type' "$work/last"; }

# another_key HOST: says which host keys are known and which are shown.
another_key() {
  local shown
  shown=$(ssh-keyscan -T 5 -p "$SSH_PORT" -t ecdsa,ed25519 "$1" 2>/dev/null | awk '!/^#/ { print $2, $3 }' |
    fingerprints) || true
  echo "$1 shows ${shown:-another SSH host key}, but is known by $(keys_of "$1" | fingerprints)"
}
fingerprints() { ssh-keygen -lf - 2>/dev/null | awk '{ print $2, $NF }' | paste -sd, - | sed 's/,/, /g'; }

# answers HOST: whether it lets us in; a machine that is only slow gets several chances, a stranger none.
answers() {
  local attempt
  for attempt in 1 2 3; do
    if ((attempt > 1)); then sleep 2; fi
    if on "$1" true; then return; fi
    if stranger; then break; fi
  done
  return 1
}

# holders HOST: the machines that may have an address that moves, by their own.
holders() { awk -v comment="may-have-$1" '$4 == comment { print $1 }' "$work/known"; }

# ask HOST COMMAND [FILE]: prints what the command prints. The connection is tried as often as pulumi-command's is, 11
# times in 75 s and what they take, also where it was lost on the way: every command may run twice. Where a stranger has
# the address, such as a machine that is leaving, those that may have it are asked themselves.
ask() {
  local attempt pause=1 output status host hosts=("$1") own
  for attempt in 1 2 3 4 5 6 7 8 9 10 11; do
    if ((attempt > 1)); then
      sleep "$pause"
      pause=$((pause < 5 ? pause * 2 : 10))
    fi
    own=()
    for host in "${hosts[@]}"; do
      status=0
      output=$(on "$host" "${@:2}") || status=$?
      if ((status != 255)); then break 2; fi
      if ! stranger; then
        own+=("$host")
      elif [[ $host == "$1" ]]; then
        mapfile -t own < <(holders "$1")
      fi
    done
    hosts=("${own[@]}")
    if ((${#hosts[@]} == 0)); then break; fi
  done
  if ((status == 0)) && [[ $output ]]; then printf '%s\n' "$output"; fi
  return "$status"
}
