/**
 * QEMU's microvm inside L1, to measure beside: the same kernel, initrd and images. Its virtio devices are on
 * MMIO; KVM runs it as it runs ours.
 */
import path from 'node:path';
import { GuestRun } from './guestRun.ts';
import { DISK, PAYLOADS } from './labProtocol.ts';

const LOADER = path.join(DISK.qemu, 'lib64/ld-linux-x86-64.so.2');
const LIBRARIES = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((it) => path.join(DISK.qemu, it));
const DATA = ['usr/share/seabios', 'usr/share/qemu'].map((it) => path.join(DISK.qemu, it));

export interface QemuDisk {
  readonly file: string;
  readonly format: string;
  /** As QEMU's options: `cache=none,aio=io_uring`. */
  readonly options: string;
}

/** `more`: options of QEMU. */
export function runQemu(disks: readonly QemuDisk[], cmdline: string, more: readonly string[] = []): GuestRun {
  const machine = 'microvm,accel=kvm,rtc=on';
  return new GuestRun(LOADER, [
    ...['--library-path', LIBRARIES.join(':'), path.join(DISK.qemu, 'usr/bin/qemu-system-x86_64')],
    ...DATA.flatMap((it) => ['-L', it]),
    ...['-M', machine, '-cpu', 'host', '-m', '384', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-global', 'virtio-mmio.force-legacy=false', '-serial', 'stdio', '-no-reboot'],
    ...['-kernel', PAYLOADS.vmlinux, '-initrd', DISK.initrd, '-append', cmdline],
    ...disks.flatMap(({ file, format, options }, i) => [
      ...['-drive', `id=d${i},file=${file},format=${format},if=none,discard=unmap,${options}`],
      ...['-device', `virtio-blk-device,drive=d${i}`],
    ]),
    ...more,
  ]);
}

/** An interface; `netdev` as QEMU's -netdev has it, without an id. */
export function qemuNetwork(netdev: string): readonly string[] {
  return ['-netdev', `${netdev},id=n0`, '-device', 'virtio-net-device,netdev=n0'];
}
