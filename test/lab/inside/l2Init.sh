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

# Every CPU runs, forks and wakes others at once; a round is a fraction of a second.
busy() {
  for worker in 1 2 3 4; do
    (
      turn=0
      while [ $turn -lt 300 ]; do turn=$((turn + 1)); done
      echo $worker | cat >/dev/null
    ) &
  done
  wait
}

case "$line" in
  busy*)
    round=0
    while :; do
      busy
      round=$((round + 1))
      echo "round $round"
    done
    ;;
  pci*)
    for function in /sys/bus/pci/devices/*; do
      echo "pci: ${function##*/} $(cat $function/vendor $function/device $function/class | tr '\n' ' ')"
    done
    poweroff -f
    ;;
  reboot*) reboot -f ;;
  *) poweroff -f ;;
esac
