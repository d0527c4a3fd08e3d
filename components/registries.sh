# shellcheck shell=bash
# Functions for what the stack knows of registries: logins, authorities, plain http. Passwords are in no command line, and in
# no file but in a folder that goes with the script.
# ARGUS_REGISTRIES: a line for each registry: `HOST<tab>LOGINS<tab>AUTHORITY<tab>insecure`; LOGINS is a file of logins as
# docker's config.json, AUTHORITY the PEM text of certificates, both in base64; `-` stands for what there is not.

# open_registries: writes what there is of each registry to its folder below $registries, which the caller removes, and which
# is closed to others.
open_registries() {
  local host logins authority insecure
  [[ ${ARGUS_REGISTRIES:-} ]] || return 0
  registries=$(mktemp -d "${TMPDIR:-/tmp}/argus-registries.XXXXXX")
  while IFS=$'\t' read -r host logins authority insecure; do
    mkdir "$registries/$host"
    [[ $logins == - ]] || base64 -d <<<"$logins" >"$registries/$host/config.json"
    [[ $authority == - ]] || base64 -d <<<"$authority" >"$registries/$host/ca.crt"
    [[ $insecure == - ]] || : >"$registries/$host/insecure"
  done <<<"${ARGUS_REGISTRIES%$'\n'}"
}

# registry_of IMAGE: prints the host of its registry.
registry_of() {
  local first=${1%%/*}
  if [[ $1 == */* && ($first == *[.:]* || $first == localhost) ]]; then echo "$first"; else echo docker.io; fi
}

# known IMAGE FILE: prints the path of a file of its registry; fails if the stack gives none.
known() {
  local file
  file=$registries/$(registry_of "$1")/$2
  [[ $registries && -e $file ]] && echo "$file"
}

# with_login IMAGE COMMAND...: runs a command in which docker and cosign find the stack's login for the image's registry, if it
# has one; podman takes it as an option.
with_login() {
  local file
  if file=$(known "$1" config.json); then DOCKER_CONFIG=${file%/*} "${@:2}"; else "${@:2}"; fi
}

# podman_options IMAGE, cosign_options IMAGE: print the options for the image's registry, one on a line.
podman_options() {
  local file
  if file=$(known "$1" config.json); then printf '%s\n' --authfile "$file"; fi
  if file=$(known "$1" ca.crt); then printf '%s\n' --cert-dir "${file%/*}"; fi
  if known "$1" insecure >/dev/null; then echo --tls-verify=false; fi
}
cosign_options() {
  local file
  if file=$(known "$1" ca.crt); then printf '%s\n' --registry-cacert "$file"; fi
  if known "$1" insecure >/dev/null; then printf '%s\n' --allow-http-registry --allow-insecure-registry; fi
}

# docker_knows IMAGE: fails where docker's daemon, which reads authorities from a folder of its own, lacks the stack's.
docker_knows() {
  local file
  file=$(known "$1" ca.crt) || return 0
  [[ -e /etc/docker/certs.d/$(registry_of "$1")/ca.crt ]] || {
    say "docker knows a registry's authority by a file alone: put argus:images.registries' ca of $(registry_of "$1") into" \
      "/etc/docker/certs.d/$(registry_of "$1")/ca.crt, or install podman"
    return 1
  }
}

# manifest IMAGE: prints the headers of the manifest of a tag. Fails with 1 if the registry does not have it, or cannot be asked
# with what the stack gives for it; with 2, after a message, if it refuses that.
manifest() {
  local host login='' authority=() file scheme=https url headers authorization
  host=$(registry_of "$1")
  if file=$(known "$1" config.json); then login=$(sed 's/.*"auth": *"\([^"]*\)".*/\1/' "$file"); fi
  if file=$(known "$1" ca.crt); then authority=(--cacert "$file"); fi
  if known "$1" insecure >/dev/null; then scheme=http; fi
  file=${1#"$host"/}
  url=$scheme://${host/#docker.io/registry-1.docker.io}/v2/${file%:*}/manifests/${file##*:}
  headers=$(asked '' --head "$url") || return
  if [[ $(http_status "$headers") == 401 ]]; then
    authorization=$(answer_to "$(sed -n 's/^www-authenticate: *//Ip' <<<"$headers" | head -n 1)") || return
    headers=$(asked "$authorization" --head "$url") || return
    [[ $authorization != Basic* || $(http_status "$headers") != 40[13] ]] || refused || return
  fi
  [[ $(http_status "$headers") == 200 ]] || return 1
  echo "$headers"
}

# The functions below use manifest's variables.

# asked AUTHORIZATION OPTION...: asks by curl; prints its answer, without carriage returns.
asked() {
  local answer status=0
  answer=$(curl --silent --max-time 20 "${authority[@]}" --config <([[ ! $1 ]] || echo "header = \"Authorization: $1\"") \
    --header 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
    "${@:2}") || status=$?
  if ((status == 60)) && [[ ${authority[*]} ]]; then
    say "$host shows a certificate of another authority than argus:images.registries[\"$host\"].ca; correct one of the two"
    return 2
  fi
  ((status == 0)) || return 1
  echo "${answer//$'\r'/}"
}

# answer_to CHALLENGE: prints the authorization that a registry asks for: the login, or the token of a server that it names.
answer_to() {
  local realm token
  case $1 in
    [Bb]asic*) [[ $login ]] && echo "Basic $login" ;;
    [Bb]earer*)
      realm=$(parameter realm "$1")
      [[ ! $login || $realm == https:* || $scheme == http ]] || {
        say "$host wants the login of argus:images.registries[\"$host\"] sent to $realm, in plain"
        return 2
      }
      token=$(asked "${login:+Basic $login}" --get --data-urlencode "service=$(parameter service "$1")" \
        --data-urlencode "scope=$(parameter scope "$1")" --write-out '\nHTTP %{http_code}\n' "$realm") || return
      [[ $(http_status "$token") != 40[13] ]] || refused || return
      echo "Bearer $(sed -n 's/.*"\(access_\)\{0,1\}token" *: *"\([^"]*\)".*/\2/p' <<<"$token" | head -n 1)"
      ;;
    *) return 1 ;;
  esac
}

refused() {
  [[ $login ]] || return 1
  say "$host refuses the login of argus:images.registries[\"$host\"]: correct push (or pull, without it), user name and password"
  return 2
}

parameter() { sed -n "s/.*$1=\"\([^\"]*\)\".*/\1/p" <<<"$2"; }
http_status() { sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$1" | tail -n 1; }
