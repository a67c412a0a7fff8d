#!/bin/busybox sh
# The init of the lab's guests (L2): shows that user space lives, answers one typed line, and leaves as that line says.
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1

echo TRAPFRAME-INIT-READY
read -r line
echo "got: $line"
echo "cpus: $(grep -c ^processor /proc/cpuinfo)"

forked=0
for word in a b c d; do
  [ "$(echo $word | cat)" = "$word" ] && forked=$((forked + 1))
done
echo "forked: $forked of 4"

case "$line" in
  reboot*) reboot -f ;;
  *) poweroff -f ;;
esac
