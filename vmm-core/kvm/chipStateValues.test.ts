import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_IOAPICS, KVM_IRQCHIPS, KvmIrqchip, KvmPitState2 } from '../abi/kvm.ts';
import { chipStateValues } from './chipStateValues.ts';

test('the chips are told apart, and the pins of the IOAPIC are in words (82093AA §3.2.4)', () => {
  const [master, slave, ioapic] = [0, 1, 2].map((chip_id) => KvmIrqchip.bytes({ chip_id }));
  assert.ok(master && slave && ioapic);
  master[KVM_IRQCHIPS.chip + 2] = 0xfb; // imr
  const pins = new DataView(ioapic.buffer, KVM_IRQCHIPS.chip + KVM_IOAPICS.redirtbl);
  pins.setBigUint64(8 * 4, 0x0200_0000_0000_8130n, true);
  pins.setBigUint64(8 * 23, 0x1_0700n, true);
  const pit = KvmPitState2.bytes({});
  new DataView(pit.buffer).setUint32(0, 11932, true);
  const values = chipStateValues({ irqchips: [master, slave, ioapic], pit });
  const of = (chip: string, name: string): unknown => {
    const found = values[chip];
    return typeof found === 'object' && !(found instanceof Uint8Array) ? found[name] : undefined;
  };
  assert.deepEqual([of('PIC, master', 'imr'), of('PIC, slave', 'imr')], [0xfb, 0]);
  assert.equal(of('IOAPIC', 'pin 4'), 'vector 0x30, lowest priority, to 2, level');
  assert.equal(of('IOAPIC', 'pin 23'), 'vector 0x0, ExtINT, to 0, edge, masked');
  assert.deepEqual(of('PIT', 'channel 0'), { count: 11932, mode: 0, bcd: 0, gate: 0 });
});
