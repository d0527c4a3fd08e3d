#!/usr/bin/env bash
# SSH functions for scripts that run on the computer that runs Pulumi. ARGUS_SSH_KEY is the private key, or empty where the
# agent at SSH_AUTH_SOCK has it; ARGUS_KNOWN_HOSTS has a line `address type key` for each accepted host key. The comment
# `may-have-ADDRESS` marks the machines that may hold an address that moves. With BASTION_HOST, everything goes through it.
: "${SSH_USER:?}" "${SSH_PORT:?}" "${ARGUS_SSH_KEY?}" "${ARGUS_SSH_PASSPHRASE=}" "${ARGUS_KNOWN_HOSTS:?}"
: "${BASTION_HOST=}" "${BASTION_PORT=}" "${BASTION_USER=}" "${BASTION_HOST_KEY=}" "${ARGUS_BASTION_KEY=}"
: "${ARGUS_BASTION_PASSPHRASE=}"

# private_key FILE KEY PASSPHRASE: saves a private key without its passphrase. ssh-keygen asks a program for it, because
# others on this computer can read arguments.
private_key() {
  (umask 077 && printf '%s\n' "$2" >"$1")
  [[ $3 ]] || return 0
  # shellcheck disable=SC2016 # It is a script.
  printf '#!/bin/sh\nprintf "%%s\\n" "$ASKED_FOR"\n' >"$work/say" && chmod 700 "$work/say"
  if ! ASKED_FOR=$3 SSH_ASKPASS="$work/say" SSH_ASKPASS_REQUIRE=force ssh-keygen -q -p -N '' -f "$1" </dev/null \
    >/dev/null 2>"$work/last"; then
    echo "error: the passphrase in argus:ssh does not open the private key ($(tail -n 1 "$work/last"))" >&2
    exit 1
  fi
}

work=$(umask 077 && mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' "$ARGUS_KNOWN_HOSTS" >"$work/known_hosts"
login=(-o IdentityFile=none)
if [[ $ARGUS_SSH_KEY ]]; then
  private_key "$work/key" "$ARGUS_SSH_KEY" "$ARGUS_SSH_PASSPHRASE"
  login=(-o IdentitiesOnly=yes -i "$work/key")
fi
if [[ $BASTION_HOST ]]; then
  identity=none only=no
  if [[ $ARGUS_BASTION_KEY ]]; then
    private_key "$work/bastion-key" "$ARGUS_BASTION_KEY" "$ARGUS_BASTION_PASSPHRASE"
    identity=$work/bastion-key only=yes
  fi
  printf 'bastion %s\n' "$BASTION_HOST_KEY" >"$work/known_bastion"
  cat >"$work/bastion" <<END
Host bastion
HostName $BASTION_HOST
Port $BASTION_PORT
User $BASTION_USER
IdentityFile $identity
IdentitiesOnly $only
BatchMode yes
ConnectTimeout 5
ServerAliveInterval 10
LogLevel ERROR
StrictHostKeyChecking yes
HostKeyAlias bastion
HostKeyAlgorithms ${BASTION_HOST_KEY%% *}
UserKnownHostsFile $work/known_bastion
GlobalKnownHostsFile /dev/null
CheckHostIP no
UpdateHostKeys no
END
  login+=(-o "ProxyCommand=ssh -F '$work/bastion' -W '[%h]:%p' bastion")
fi

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
  ssh -F none -E "$work/said" "${login[@]}" -p "$SSH_PORT" -o BatchMode=yes -o ConnectTimeout=5 \
    -o ServerAliveInterval=10 -o LogLevel=ERROR -o StrictHostKeyChecking=yes -o HostKeyAlias="$1" \
    -o HostKeyAlgorithms="$types" -o UserKnownHostsFile="$work/known_hosts" -o GlobalKnownHostsFile=/dev/null \
    -o CheckHostIP=no -o UpdateHostKeys=no "$SSH_USER@$1" "$2" <"${3:-/dev/null}" || status=$?
  mv -f "$work/said" "$work/last" 2>/dev/null || : >"$work/last"
  if ((status == 255)); then
    if unknown_key; then another_key "$1" >&2; else cat "$work/last" >&2; fi
  fi
  return "$status"
}

# answer_in HOST PRINTED: prints the answer of a script (Script.render of remote.py) in all that HOST printed. Fails if
# there is not exactly one: then the script is not known to have run. Shows nothing of what was printed, which may be secret.
answer_in() {
  local found length encoded
  found=$(grep -aE '^argus-answer:[0-9]+:[A-Za-z0-9+/=]*:$' <<<"$2") || true
  IFS=: read -r _ length encoded _ <<<"$found"
  if [[ ! $found || $found == *$'\n'* || ${#encoded} != "$length" ]]; then
    echo "error: the answer of $1 is not understood: the login shell of $SSH_USER there runs something else than the command" \
      "that it is given, or ends before it (see that user's shell and its start-up files, and sshd's ForceCommand)" >&2
    return 1
  fi
  if [[ $encoded ]]; then base64 -d <<<"$encoded" && echo; fi
}

# told HOST COMMAND [FILE]: runs a script and prints its answer; returns 255 if the connection failed.
told() {
  local printed
  printed=$(on "$@") || return
  answer_in "$1" "$printed"
}

# saved_input: saves standard input to a file for `on` or `ask`, and prints the file's path.
saved_input() { cat >"$work/input" && echo "$work/input"; }

# unknown_key: whether the last `on` found a host with a key that is not accepted.
unknown_key() { grep -qsE 'Host key verification failed|no matching host key type' "$work/last"; }

# another_key HOST: prints which host keys are known and which HOST shows.
another_key() {
  local shown=''
  # A scan does not go through a bastion.
  [[ $BASTION_HOST ]] || shown=$(ssh-keyscan -T 5 -p "$SSH_PORT" -t ecdsa,ed25519 "$1" 2>/dev/null | awk '!/^#/ { print $2, $3 }' |
    fingerprints) || true
  echo "$1 shows ${shown:-another SSH host key}, but is known by $(keys_of "$1" | fingerprints)"
}
fingerprints() { ssh-keygen -lf - 2>/dev/null | awk '{ print $2, $NF }' | paste -sd, - | sed 's/,/, /g'; }

# answers HOST: whether a login works, else 255 where the connection fails; retries for a slow machine, but not for a host
# with an unknown key.
answers() {
  local attempt status
  for attempt in 1 2 3; do
    if ((attempt > 1)); then sleep 2; fi
    status=0
    on "$1" true >/dev/null || status=$?
    if ((status == 0)) || unknown_key; then break; fi
  done
  return "$status"
}

# holders HOST: prints the own addresses of the machines that may hold the address HOST.
holders() { awk -v comment="may-have-$1" '$4 == comment { print $1 }' "$work/known_hosts"; }

# ask HOST COMMAND [FILE]: like `told`, but tries to connect as often as pulumi-command does (11 times), with longer
# pauses (75 s), because an address that moves takes that long; also if the connection was lost, so every command may run
# twice. If a host with an unknown key holds the address, such as a machine that is leaving, the machines that may hold
# it are asked at their own addresses.
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
  ((status == 0)) || return "$status"
  answer_in "$host" "$output"
}
