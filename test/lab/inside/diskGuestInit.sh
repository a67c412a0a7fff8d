#!/bin/busybox sh
# The init in the initrd of guests that have their root on a disk: the drivers, the root, and then /sbin/agent there.
# lab.root= on the command line is the root's device, or none: then this initrd's agent runs. lab.modules= names drivers
# to load besides those that every guest needs.
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

# Of a kernel that has it built in, the package has no module, and its order is empty.
load() {
  for module in $(cat /lib/modules/$1.order); do
    [ -d /sys/module/$module ] || insmod /lib/modules/$module.ko || echo "lab: cannot load $module"
  done
}

root=/dev/vda
load lab
for word in $(cat /proc/cmdline); do
  case "$word" in
    lab.root=*) root=${word#lab.root=} ;;
    lab.modules=*) for name in $(echo ${word#lab.modules=} | tr , ' '); do load $name; done ;;
  esac
done
if [ $root = none ]; then
  mkdir -p /tmp
  exec /sbin/agent
fi
tries=0
until [ -b "$root" ] || [ $tries -ge 200 ]; do
  tries=$((tries + 1))
  usleep 20000
done
mount -t ext4 "$root" /root || { echo "lab: no root on $root"; ls /dev; cat /proc/partitions; poweroff -f; }
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/agent
