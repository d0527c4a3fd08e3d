#!/usr/bin/env bash
# Writes the root file system of a lab machine as a tar file: rootfs.sh SUITE MIRROR OUTPUT.tar.zst
# Debian by debootstrap, packages.txt on top, then files/ as it lies here. Nothing in it names one machine.
set -euo pipefail

suite=$1 mirror=$2 output=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${output%.tar.zst}.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

packages=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages.txt" | paste -sd,)
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror"

# Debian's own sources, with the security suite, so that `apt-get install` on a machine works as on any host.
cat >"$root/etc/apt/sources.list" <<LIST
deb $mirror $suite main
deb $mirror $suite-updates main
deb http://deb.debian.org/debian-security $suite-security main
LIST

cp -rT --no-preserve=ownership "$here/files" "$root"
# Pulumi logs in as a user with sudo, as most hosts have one; the lab itself as root.
chroot "$root" useradd --create-home --shell /bin/bash argus
install -d -m 0700 -o 1000 -g 1000 "$root/home/argus/.ssh"
chroot "$root" systemctl enable --quiet ssh.service ssh-host-keys.service machine-mounts.service
# A container has no terminal and no clock of its own, and its disks need no maintenance.
chroot "$root" systemctl mask --quiet \
    getty.target console-getty.service systemd-timesyncd.service systemd-udevd.service \
    systemd-firstboot.service e2scrub_all.timer fstrim.timer apt-daily.timer apt-daily-upgrade.timer
chroot "$root" apt-get clean

# What must differ between machines is made at a machine's first start.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/dbus/machine-id "$root"/etc/hostname
: >"$root/etc/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* "$root"/var/tmp/*
mkdir -p "$root/var/log" "$root/root/.ssh"
chmod 0700 "$root/root/.ssh"

tar --create --numeric-owner --one-file-system --directory="$root" --file="$work/rootfs.tar.zst" \
    --use-compress-program='zstd -3 --threads=0' .
mv "$work/rootfs.tar.zst" "$output"
