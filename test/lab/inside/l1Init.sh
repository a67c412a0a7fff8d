#!/bin/busybox sh
# The lab's own init (L1): what the kernel needs mounted, the modules, then node. See ../image.ts, which packs it.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /bin
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp TERM=linux

# As switch_root does, but to the same files: from the initramfs itself nobody may pivot_root, as passt does.
if [ "$1" != moved ]; then
  mkdir /moved
  mount --bind / /moved
  cd /moved
  mount --move . /
  exec chroot . /init moved
fi
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
ip link set lo up
mkdir -m 0700 /run/user
export XDG_RUNTIME_DIR=/run/user

for module in $(cat /lib/modules/lab.order); do
  insmod /lib/modules/$module || echo "lab: cannot load $module"
done

# For shutdowns.ts.
mount -t tracefs trace /sys/kernel/tracing

mkdir -p /disk /var/tmp
[ -b /dev/vda ] && mount -t ext4 -o noatime /dev/vda /disk

cd /trapframe
if grep -q lab.shell /proc/cmdline; then
  echo "lab: this is L1, /trapframe is the build, 'poweroff -f' leaves"
  setsid cttyhack sh
else
  node /trapframe/test/lab/inside/runner.js
  echo "lab: the runner ended with $?"
fi
sync
poweroff -f
