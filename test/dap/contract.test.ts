/** The control protocol's contract, checked on the fake that the other tests here debug. */
import { test } from 'node:test';
import { connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { FakeVmm } from '../support/fakeVmm.ts';
import { LiveClient } from '../support/liveVm.ts';
import { declareContract } from '../support/vmmContract.ts';

declareContract(test, async (t) => {
  const fake = await FakeVmm.start();
  t.after(() => fake.close());
  const connect = async (): Promise<LiveClient> => {
    const vmm = await connectVmm(fake.socket, { client: 'test', debugger: true });
    t.after(() => vmm.dispose());
    return new LiveClient(vmm);
  };
  return { client: await connect(), connect };
});
