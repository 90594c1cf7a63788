#!/bin/bash
# Makes a Debian for virtual machines: FOLDER/base.img, FOLDER/vmlinuz and FOLDER/initrd.img.
# Arguments: FOLDER SUITE MIRROR. It needs root, debootstrap, mkfs.ext4 and the mirror.
set -euo pipefail
folder=$1 suite=$2 mirror=$3
tree=$folder/tree
rm -rf --one-file-system "$tree"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$tree" "$mirror"
# Nothing is started while it is installed.
printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
chroot "$tree" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    systemd-sysv udev dbus cloud-init python3 e2fsprogs util-linux mount iproute2 ifupdown isc-dhcp-client netbase procps \
    kmod initramfs-tools linux-image-cloud-amd64 docker.io apparmor
chroot "$tree" apt-get clean
rm -rf "$tree/usr/sbin/policy-rc.d" "$tree/var/lib/apt/lists" "$tree/etc/machine-id" "$tree/etc/resolv.conf"
touch "$tree/etc/machine-id"
# A machine starts Docker at boot only if it is told to, as images of clouds for GPUs do. The registry is on the host.
rm -f "$tree"/etc/systemd/system/*.wants/docker.s* "$tree"/etc/systemd/system/*.wants/containerd.service
mkdir -p "$tree/etc/docker"
echo '{"insecure-registries": ["10.0.2.2/32"]}' > "$tree/etc/docker/daemon.json"
echo "/dev/vda / ext4 errors=remount-ro 0 1" > "$tree/etc/fstab"
echo "vm-trial" > "$tree/etc/hostname"
# Where the user data comes from; elsewhere the image of a cloud says so.
echo "datasource_list: [NoCloud, None]" > "$tree/etc/cloud/cloud.cfg.d/90_datasource.cfg"
# They would use the processor in the middle of a trial.
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    ln -sf /dev/null "$tree/etc/systemd/system/$timer.timer"
done
cp "$tree"/boot/vmlinuz-* "$folder/vmlinuz"
cp "$tree"/boot/initrd.img-* "$folder/initrd.img"
rm -f "$folder/base.img"
truncate -s 3G "$folder/base.img"
mkfs.ext4 -q -F -d "$tree" "$folder/base.img"
rm -rf --one-file-system "$tree"
