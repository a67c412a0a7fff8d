/** The control protocol's contract, kept by a real core. */
import { kvmTest } from '../support/kvmTest.ts';
import { startCore } from '../support/liveVm.ts';
import { declareContract } from '../support/vmmContract.ts';

declareContract(kvmTest, (t) => startCore(t));
