#!/usr/bin/env bash
# For scripts whose output stays valid while script and values are unchanged: if only the SSH private key or other host keys
# have changed, prints the last output again instead of running. ASKED is a digest of the script and its values; ABOUT is
# an address whose host keys count too. Both are in the first line of the output.
: "${ASKED:?}" "${ABOUT?}"

asked="# $ASKED"
[[ ! $ABOUT ]] || asked+=" $(keys_of "$ABOUT" | cksum)"
if [[ "${PULUMI_COMMAND_STDOUT:-}"$'\n' == "$asked"$'\n'* ]]; then
  printf '%s\n' "$PULUMI_COMMAND_STDOUT"
  exit
fi
echo "$asked"
