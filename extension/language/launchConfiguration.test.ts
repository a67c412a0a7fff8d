import assert from 'node:assert/strict';
import { it } from 'node:test';
import { firstVm } from '../../vmm-core/vmConf/testSupport.ts';
import { parseVmConfig, VM_KEYS } from '../../vmm-core/config/parseVmConfig.ts';
import { attachConfiguration, launchConfiguration } from './launchConfiguration.ts';

const TEXT = `vm "g" {
	memory 1536M
	cpus 2
	kernel "/k"
	initrd "/i"
	cmdline "a b"
	serial com2 file "/log"
	debug { exit
		wait
		breakpoints hw
		symbols "/s" }
	reset exit
}
`;

it('a VM of a vm.conf and its launch configuration are the same VM', () => {
  const vm = firstVm(TEXT);
  const launch = launchConfiguration(vm);
  assert.ok(typeof launch === 'object');
  const known = Object.fromEntries(Object.entries(launch).filter(([key]) => VM_KEYS.includes(key)));
  assert.deepEqual(parseVmConfig(known).config, vm.config);
  assert.deepEqual(
    [launch['stopOnEntry'], launch['breakpointMode'], launch['symbolFiles']],
    [true, 'hw', ['/s']],
  );
});

it('a VM that asks for more, or has no kernel, is refused with a sentence', () => {
  const sentence = (text: string): string => {
    const result = launchConfiguration(firstVm(text));
    return typeof result === 'string' ? result : 'accepted';
  };
  assert.match(sentence('vm a {\nkernel "/k"\nsev\n}\n'), /cannot do yet: sev/);
  assert.match(sentence('vm a { disk "/d" }\n'), /has no kernel/);
});

it('a VM that is already running is attached to by its name, with the symbols that the file names', () => {
  assert.deepEqual(attachConfiguration(firstVm(TEXT)), {
    ...{ type: 'vmm', request: 'attach', name: 'g', vm: 'g', kernel: '/k' },
    ...{ symbolFiles: ['/s'], breakpointMode: 'hw' },
  });
});
