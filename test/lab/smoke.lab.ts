/** L1 has what the other files here take for granted. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { describe, it } from 'node:test';
import koffi from 'koffi';

const KVM_GET_API_VERSION = 0xae00; // _IO(KVMIO, 0x00)

describe('L1', () => {
  it('has two CPUs with AMD-V', () => {
    assert.equal(cpus().length, 2);
    assert.match(readFileSync('/proc/cpuinfo', 'utf8'), /^flags.* svm /m);
  });

  it('has a /dev/kvm of API version 12', () => {
    const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, uintptr_t argument)');
    const kvm = openSync('/dev/kvm', 'r+');
    try {
      assert.equal(ioctl(kvm, KVM_GET_API_VERSION, 0), 12);
    } finally {
      closeSync(kvm);
    }
  });

  it('has nested paging for its guests', () => {
    assert.equal(readFileSync('/sys/module/kvm_amd/parameters/npt', 'utf8').trim(), 'Y');
  });
});
