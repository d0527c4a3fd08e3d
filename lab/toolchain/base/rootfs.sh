#!/usr/bin/env bash
# Writes debian:SUITE-slim as a tar file, as Docker Hub's is made: rootfs.sh SUITE MIRROR OUTPUT.tar
# A minimal Debian without documentation and package lists. It trusts the certificate authorities that the host's
# administrator added, so that a build in it reaches what the host reaches; apt's ca-certificates picks them up.
set -euo pipefail

suite=$1 mirror=$2 output=$3
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

debootstrap --variant=minbase "$suite" "$root" "$mirror"

cat >"$root/etc/apt/sources.list" <<LIST
deb $mirror $suite main
deb $mirror $suite-updates main
deb http://deb.debian.org/debian-security $suite-security main
LIST
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'CONF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
CONF
cat >"$root/etc/apt/apt.conf.d/slim" <<'CONF'
APT::Install-Recommends "false";
Acquire::Languages "none";
APT::AutoRemove::SuggestsImportant "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
CONF
# Nothing is started while packages are installed in an image.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

find "$root/usr/share/doc" -mindepth 1 ! -name copyright ! -type d -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/{man,info,locale,lintian}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*
rm -rf "$root"/tmp/* "$root"/var/tmp/*
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/machine-id"

for authority in /usr/local/share/ca-certificates/*.crt; do
    if [ -f "$authority" ]; then
        install -D -m 0644 "$authority" "$root/usr/local/share/ca-certificates/${authority##*/}"
    fi
done

tar --create --numeric-owner --one-file-system --directory="$root" --file="$work/rootfs.tar" .
mv "$work/rootfs.tar" "$output"
