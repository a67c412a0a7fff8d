/** A stock Linux in L1 with a network interface: configured by DHCP, as its user would. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DiskGuest, DiskGuestOptions } from './diskGuest.ts';
import { boot } from './diskImages.ts';
import { DISK } from './labProtocol.ts';

/** Of the user network (backends/net/user/). */
export const HOST = '10.0.2.2';
export const HOST6 = 'fd74:7261:7066::2';
export const GUEST = '10.0.2.15';

/** What udhcpc calls with what it has got. */
const LEASE_SCRIPT = [
  '[ $1 = bound ] || [ $1 = renew ] || exit 0',
  'ip -4 addr flush dev $interface scope global', // IPv6 may be there already
  '[ -z $mtu ] || ip link set $interface mtu $mtu',
  'ip addr add $ip/$mask dev $interface',
  '[ -z $router ] || ip route add default via $router dev $interface',
  ': > /etc/resolv.conf',
  'for it in $dns; do echo nameserver $it >> /etc/resolv.conf; done',
  'env > /tmp/lease.$interface',
];

export interface NetGuestOptions extends DiskGuestOptions {
  /** Values of --net. */
  readonly networks: readonly string[];
  /** More drivers. */
  readonly modules?: readonly string[];
}

/** Its root is a throw-away copy of the lab's. Interfaces are down yet. */
export async function bootNetGuest(t: TestContext, options: NetGuestOptions): Promise<DiskGuest> {
  const { networks, modules = [], more = [], cmdline = '', ...rest } = options;
  const drivers = ['virtio_net', ...modules].join(',');
  const guest = await boot(t, [`${DISK.root},format=raw,snapshot`], {
    ...rest,
    cmdline: `lab.modules=${drivers} ${cmdline}`.trim(),
    more: [...networks.flatMap((it) => ['--net', it]), ...more],
  });
  await prepare(guest);
  return guest;
}

/** Makes it able to be configured. */
export async function prepare(guest: DiskGuest): Promise<void> {
  await guest.sh('mount -o remount,rw / && ip link set lo up');
  for (const line of LEASE_SCRIPT) await guest.sh(`echo '${line}' >> /tmp/lease`);
  await guest.sh('chmod +x /tmp/lease');
}

/** By DHCP. Returns the lease as udhcpc has it: `ip=10.0.2.15` and so on. */
export async function configure(guest: DiskGuest, name = 'eth0'): Promise<string> {
  await guest.sh(`ip link set ${name} up`);
  await guest.sh(`udhcpc -i ${name} -n -q -f -t 10 -T 1 -s /tmp/lease 2>&1`);
  return guest.sh(`cat /tmp/lease.${name}`);
}

/** Until the interface has a global IPv6 address of a router's prefix that is not tentative. */
export function awaitIpv6(guest: DiskGuest, name = 'eth0'): Promise<string> {
  const has = `ip -6 addr show dev ${name} scope global | grep -v tentative | grep -q inet6`;
  const wait = `for i in $(seq 100); do ${has} && break; usleep 100000; done; ${has}`;
  return guest.sh(`${wait} && ip -6 route`);
}

/** netLoad's echo server in the guest, once it answers. */
export async function startEcho(guest: DiskGuest, port: number): Promise<void> {
  const asked = `netLoad short 127.0.0.1 ${port} 1 2>/dev/null`;
  await guest.sh(`(netLoad echo ${port} >/dev/null 2>&1 &); until ${asked}; do usleep 20000; done`);
}

/** The same of iperf3. */
export async function startIperf3(guest: DiskGuest, port: number): Promise<void> {
  const asked = `iperf3 -c 127.0.0.1 -p ${port} -n 1 >/dev/null 2>&1`;
  await guest.sh(`(iperf3 -s -p ${port} >/dev/null 2>&1 &); until ${asked}; do usleep 20000; done`);
}

/** Of netLoad, for `count` of a load. Throws unless all were answered. */
export async function loadMicroseconds(
  guest: DiskGuest,
  load: string,
  count: number,
  silenceMs?: number,
): Promise<number> {
  const said = await guest.sh(`netLoad ${load} ${count}`, silenceMs);
  const [, us] = new RegExp(`^answered: ${count} in (\\d+) us`).exec(said) ?? [];
  assert.ok(us !== undefined, said);
  return Number(us);
}
