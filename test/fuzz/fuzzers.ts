/** All fuzzers. A new one is a line here; all share the time that `npm test` has for them. */
import assert from 'node:assert/strict';
import { checkDependencies, checkMutation } from '../../vmm-core/vmConf/fuzz.ts';
import { balloonRound } from '../support/balloonFuzz.ts';
import { loadBalloon } from '../support/balloonMachine.ts';
import { blkRound } from '../support/blkFuzz.ts';
import { consoleRound } from '../support/consoleFuzz.ts';
import { crashOne } from '../support/crashCuts.ts';
import { diskRound } from '../support/diskFuzz.ts';
import { dwarfTargets } from '../support/dwarfFuzz.ts';
import { elfTargets } from '../support/elfFuzz.ts';
import { type FuzzTarget, fuzzRound, runGoodFiles } from '../support/fuzz.ts';
import { fuzzInspectedRings } from '../support/inspectorFuzz.ts';
import { offloadRound } from '../support/offloadFuzz.ts';
import { fuzzMsix, fuzzPciBars } from '../support/pciFuzz.ts';
import { ninepRound } from '../support/ninepFuzz.ts';
import { FUZZ_PROGRAMS, type FuzzProgram, programTarget } from '../support/programFuzz.ts';
import { netRound } from '../support/netFuzz.ts';
import { qcow2Round } from '../support/qcow2Fuzz.ts';
import { forwardsRound } from '../support/forwardsFuzz.ts';
import { streamRound, tapHeaderRound } from '../support/streamFuzz.ts';
import { tapRound } from '../support/tapFuzz.ts';
import { fuzzUserDhcp, fuzzUserFragments, fuzzUserNet, fuzzUserTftp } from '../support/userFuzz.ts';
import { scsiRound } from '../support/scsiFuzz.ts';
import { switchRound } from '../support/switchFuzz.ts';
import { hostileRound, transferRound } from '../support/userTcpFuzz.ts';
import { vsockRound } from '../support/vsockFuzz.ts';
import { queueRound, registersRound } from '../support/virtioFuzz.ts';
import type { Fuzzer } from './fuzzer.ts';

export const FUZZERS: readonly Fuzzer[] = [
  ...[...dwarfTargets(), ...elfTargets()].map(fileFuzzer),
  ...FUZZ_PROGRAMS.map(programFuzzer),
  {
    name: 'pci-bars',
    claim:
      'whatever a guest writes to PCI configuration space, all threads decode alike and no device throws',
    round: fuzzPciBars,
  },
  {
    name: 'pci-msix',
    claim: 'whatever a guest does to an MSI-X table, the messages it has asked for come, and no others',
    round: fuzzMsix,
  },
  {
    name: 'net-stream',
    claim: 'frames over a stream arrive whole and in order, and what is none ends the connection',
    round: streamRound,
  },
  {
    name: 'net-tap-header',
    claim: 'whatever a tap says of a frame, the guest gets what can be, and what its driver takes',
    round: tapHeaderRound,
  },
  {
    name: 'net-tap',
    claim: 'frames of a tap arrive in order, and what is none is counted, whatever the host refuses',
    round: tapRound,
  },
  {
    name: 'qcow2',
    claim: 'broken qcow2 images are read, written and checked in answers or typed errors, and soon',
    round: qcow2Round,
  },
  {
    name: 'disk-crash',
    claim: 'a qcow2 image that is cut anywhere has no errors, and every byte that was flushed',
    round: crashOne,
  },
  {
    name: 'inspector-rings',
    claim: 'whatever a guest has in its rings, the inspector answers, and no answer is without a bound',
    round: fuzzInspectedRings,
  },
  {
    name: 'vm.conf',
    claim: "mutations of vm.conf never crash, hang or lose an error's place, and fmt keeps their meaning",
    round: (seed) => assert.equal(checkMutation(seed), undefined),
  },
  {
    name: 'vm.conf-dependencies',
    claim: 'files whose macros and includes depend on each other: edits equal a fresh read',
    round: (seed) => assert.equal(checkDependencies(seed), undefined),
  },
  {
    name: 'virtio-queue',
    claim: 'a virtqueue finds in hostile memory what a plain reference finds, up to the first rule broken',
    round: queueRound,
  },
  {
    name: 'virtio-registers',
    claim:
      'whatever is written to registers of virtio, nothing throws, and nothing is under way once it is reset',
    round: registersRound,
  },
  {
    name: 'virtio-console',
    claim:
      'all that is sent to ports of the virtio console is heard, and all that is typed arrives, in order',
    round: consoleRound,
  },
  {
    name: 'virtio-balloon',
    claim: 'exactly the pages that a driver gives to the balloon go back to the host, whatever else it names',
    prepare: loadBalloon,
    round: balloonRound,
  },
  {
    name: 'virtio-blk',
    claim: 'requests to a disk, right and wrong, while the host fails: no data is lost, torn or reordered',
    round: blkRound,
  },
  {
    name: 'virtio-vsock',
    claim:
      'streams between guests and programs, while either misbehaves or the host fails: in order, and whole',
    round: vsockRound,
  },
  {
    name: 'virtio-net',
    claim:
      'drivers of an interface, right and wrong: what is sent arrives, what is for them is there in order or counted',
    round: netRound,
  },
  {
    name: 'disk-image',
    claim: 'requests to a disk over a real image, while the host fails: what is written is there',
    round: diskRound,
  },
  {
    name: 'net-switch',
    claim: 'whatever a member of a switch does, the others reach each other, and nothing of it is left',
    round: switchRound,
  },
  {
    name: 'net-offload',
    claim: 'segments that are cut for a guest make up what was sent, and what is no frame is told as such',
    round: offloadRound,
  },
  {
    name: 'user-tcp',
    claim:
      'TCP of the user network moves all, in order, over a wire that loses and reorders, while the host fails',
    round: transferRound,
  },
  {
    name: 'user-tcp-segments',
    claim: 'whatever segments a guest sends to the user network, nothing throws, and nothing is left of them',
    round: hostileRound,
  },
  {
    name: 'user-net',
    claim: 'whatever frames a guest sends to the user network, what comes back is right, and nothing is lost',
    round: fuzzUserNet,
  },
  {
    name: 'user-forwards',
    claim:
      'what comes by forwards reaches the guest once, and its answers whom they are for, whatever the host refuses',
    round: forwardsRound,
  },
  {
    name: 'user-dhcp',
    claim: 'whatever is asked of DHCP, replies can be read, and no address is given twice',
    round: fuzzUserDhcp,
  },
  {
    name: 'user-tftp',
    claim: 'a TFTP client on a wire that loses has its file, whatever others send meanwhile',
    round: fuzzUserTftp,
  },
  {
    name: 'user-fragments',
    claim: 'fragments in any order become what was sent, and hostile ones are bounded',
    round: fuzzUserFragments,
  },
  {
    name: 'ninep',
    claim:
      "a shared folder is what its guest makes of it, and whatever that sends, the host's other files stay",
    round: ninepRound,
  },
  {
    name: 'virtio-scsi',
    claim: 'whatever commands come, the CD-ROM drive has an answer, and reads what is on the medium',
    round: scsiRound,
  },
];

function fileFuzzer(target: FuzzTarget): Fuzzer {
  return {
    name: target.name,
    claim: `broken ${target.name} files end soon, within their memory, in answers or in a typed error`,
    prepare: async () => {
      await runGoodFiles(target);
      return undefined;
    },
    round: (seed) => fuzzRound(target, seed),
  };
}

function programFuzzer(program: FuzzProgram): Fuzzer {
  const version = program.options.find((it) => it.startsWith('-gdwarf'));
  let target: FuzzTarget | undefined;
  return {
    name: `${program.compiler}${version ?? ''}`,
    claim: `programs of ${program.compiler} ${program.options.join(' ')} with broken debug information are answered for`,
    share: 4,
    prepare: async () => {
      const made = programTarget(program);
      if (typeof made === 'string') return made;
      target = made;
      await runGoodFiles(made);
      return undefined;
    },
    round: async (seed) => {
      assert.ok(target !== undefined, 'prepare() comes first');
      assert.equal(await fuzzRound(target, seed), 'read', 'nothing is thrown');
    },
  };
}
