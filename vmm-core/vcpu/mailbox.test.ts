import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Mailbox, REQUEST, STEP_OVER } from './mailbox.ts';

const require = createRequire(import.meta.filename);

/** Both ends in one thread: a request is posted before the vCPU's end waits for it. */
function ends(): { main: Mailbox; vcpu: Mailbox } {
  const main = new Mailbox();
  return { main, vcpu: new Mailbox(main.buffer) };
}

test('the vCPU takes RUN, and the next one after it has answered', () => {
  const { main, vcpu } = ends();
  for (let i = 0; i < 3; i++) {
    main.post(REQUEST.RUN);
    assert.equal(vcpu.waitForRequest(), REQUEST.RUN);
  }
});

test('the parameters of a STEP arrive with it', () => {
  const { main, vcpu } = ends();
  const step = { flags: STEP_OVER, start: 0xffff_ffff_8000_0000n, end: 0xffff_ffff_8000_0010n };
  main.postStep(step);
  assert.equal(vcpu.waitForRequest(), REQUEST.STEP);
  assert.deepEqual(vcpu.readStep(), step);
});

test('a sleeping thread is woken by each request and answers each', async (t) => {
  const mailbox = new Mailbox();
  // What vcpu.worker.ts does, without a vCPU.
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     require(workerData.loader); // a worker does not inherit it
     const { Mailbox } = require(workerData.mailboxModule);
     const mailbox = new Mailbox(workerData.buffer);
     for (let answers = 1; ; answers++) {
       mailbox.waitForRequest();
       parentPort.postMessage(answers);
     }`,
    {
      eval: true,
      workerData: {
        buffer: mailbox.buffer,
        loader: require.resolve('tsx/cjs'),
        mailboxModule: path.join(import.meta.dirname, 'mailbox.ts'),
      },
    },
  );
  t.after(() => worker.terminate());
  for (let i = 1; i <= 200; i++) {
    const answered = new Promise<number>((resolve) => worker.once('message', resolve));
    mailbox.post(REQUEST.RUN);
    assert.equal(await answered, i);
  }
});
