#!/usr/bin/env bash
# SSH functions for scripts that run on the computer that runs Pulumi. ARGUS_SSH_KEY is the private key; ARGUS_KNOWN_HOSTS
# has a line `address type key` for each accepted host key. The comment `may-have-ADDRESS` marks the machines that may hold
# an address that moves.
: "${SSH_USER:?}" "${SSH_PORT:?}" "${ARGUS_SSH_KEY:?}" "${ARGUS_KNOWN_HOSTS:?}"

work=$(umask 077 && mktemp -d)
trap 'rm -rf "$work"' EXIT
(umask 077 && printf '%s\n' "$ARGUS_SSH_KEY" >"$work/key")
printf '%s\n' "$ARGUS_KNOWN_HOSTS" >"$work/known_hosts"

# cluster_lost: whether the user gave the whole cluster up, by `ARGUS_CLUSTER_LOST=true pulumi destroy`. The cluster is
# then not contacted.
cluster_lost() { [[ ${ARGUS_CLUSTER_LOST:-} == true ]]; }

# keys_of HOST: prints the accepted host keys of HOST, one `type key` per line.
keys_of() { awk -v host="$1" '$1 == host { print $2, $3 }' "$work/known_hosts"; }

# on HOST COMMAND [FILE]: like ssh; returns 255 if the connection failed, also because of an `unknown_key`.
# The user's ssh configuration is ignored, as by pulumi-command: it might trust other keys or redirect the connection.
on() {
  local types status=0
  # Ask only for known types, ECDSA first: otherwise a host with several keys might show an unknown one.
  types=$(keys_of "$1" | cut -d' ' -f1 | sort -u | paste -sd, -)
  [[ $types ]] || { echo "error: no host key of $1 is known" >&2 && exit 1; }
  ssh -F none -E "$work/said" -i "$work/key" -p "$SSH_PORT" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 \
    -o ServerAliveInterval=10 -o LogLevel=ERROR -o StrictHostKeyChecking=yes -o HostKeyAlias="$1" \
    -o HostKeyAlgorithms="$types" -o UserKnownHostsFile="$work/known_hosts" -o GlobalKnownHostsFile=/dev/null \
    -o CheckHostIP=no -o UpdateHostKeys=no "$SSH_USER@$1" "$2" <"${3:-/dev/null}" || status=$?
  mv -f "$work/said" "$work/last" 2>/dev/null || : >"$work/last"
  if ((status == 255)); then
    if unknown_key; then another_key "$1" >&2; else cat "$work/last" >&2; fi
  fi
  return "$status"
}

# saved_input: saves standard input to a file for `on` or `ask`, and prints the file's path.
saved_input() { cat >"$work/input" && echo "$work/input"; }

# unknown_key: whether the last `on` found a host with a key that is not accepted.
unknown_key() { grep -qsE 'Host key verification failed|no matching host key type' "$work/last"; }

# another_key HOST: prints which host keys are known and which HOST shows.
another_key() {
  local shown
  shown=$(ssh-keyscan -T 5 -p "$SSH_PORT" -t ecdsa,ed25519 "$1" 2>/dev/null | awk '!/^#/ { print $2, $3 }' |
    fingerprints) || true
  echo "$1 shows ${shown:-another SSH host key}, but is known by $(keys_of "$1" | fingerprints)"
}
fingerprints() { ssh-keygen -lf - 2>/dev/null | awk '{ print $2, $NF }' | paste -sd, - | sed 's/,/, /g'; }

# answers HOST: whether a login works; retries for a slow machine, but not for a host with an unknown key.
answers() {
  local attempt
  for attempt in 1 2 3; do
    if ((attempt > 1)); then sleep 2; fi
    if on "$1" true; then return; fi
    if unknown_key; then break; fi
  done
  return 1
}

# holders HOST: prints the own addresses of the machines that may hold the address HOST.
holders() { awk -v comment="may-have-$1" '$4 == comment { print $1 }' "$work/known_hosts"; }

# ask HOST COMMAND [FILE]: prints the command's output. Tries to connect as often as pulumi-command does (11 times, with 75 s
# of pauses), also if the connection was lost, so every command may run twice. If a host with an unknown key holds the
# address, such as a machine that is leaving, the machines that may hold it are asked at their own addresses.
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
      if ! unknown_key; then
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
