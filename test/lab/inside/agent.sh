#!/bin/sh
# The first process of a guest with a disk. Does what is typed on ttyS0, a line a time, and says how it ended: see
# diskGuest.ts.
/bin/busybox --install -s /bin
export PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo -onlcr
echo AGENT-READY
while read -r line; do
  sh -c "$line" </dev/null
  echo "AGENT-DONE $?"
done
poweroff -f
