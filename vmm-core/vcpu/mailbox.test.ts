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

test('a new mailbox asks for nothing and knows no thread', () => {
  const { main } = ends();
  assert.equal(main.request, REQUEST.PAUSE);
  assert.equal(main.threadId, 0);
});

test('the vCPU takes RUN, and after it stopped itself the next one', () => {
  const { main, vcpu } = ends();
  for (let i = 0; i < 3; i++) {
    main.post(REQUEST.RUN);
    assert.equal(vcpu.waitForRequest(), REQUEST.RUN);
    vcpu.stopSelf();
    assert.equal(main.request, REQUEST.PAUSE);
  }
});

test('the parameters of a STEP arrive with it', () => {
  const { main, vcpu } = ends();
  const step = { flags: STEP_OVER, start: 0xffff_ffff_8000_0000n, end: 0xffff_ffff_8000_0010n };
  main.postStep(step);
  assert.equal(vcpu.waitForRequest(), REQUEST.STEP);
  assert.deepEqual(vcpu.readStep(), step);
});

test('a RUN followed by PAUSE before the vCPU looked is taken all the same: main waits for its answer', () => {
  const { main, vcpu } = ends();
  main.post(REQUEST.RUN);
  main.post(REQUEST.PAUSE);
  assert.equal(vcpu.waitForRequest(), REQUEST.PAUSE);
  vcpu.stopSelf();
  main.postStep({ flags: 0, start: 0n, end: 0n });
  main.post(REQUEST.PAUSE);
  assert.equal(vcpu.waitForRequest(), REQUEST.PAUSE);
});

test('a PAUSE that comes after the vCPU stopped itself does not hold the next RUN', () => {
  const { main, vcpu } = ends();
  main.post(REQUEST.RUN);
  assert.equal(vcpu.waitForRequest(), REQUEST.RUN);
  vcpu.stopSelf();
  main.post(REQUEST.PAUSE);
  main.post(REQUEST.RUN);
  assert.equal(vcpu.waitForRequest(), REQUEST.RUN);
});

test('the thread announces its id', () => {
  const { main, vcpu } = ends();
  vcpu.announce(4321);
  assert.equal(main.threadId, 4321);
});

test('a sleeping thread is woken by each request and answers each, RUN with PAUSE on its heels included', async (t) => {
  const mailbox = new Mailbox();
  // What vcpu.worker.ts does, without a vCPU.
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     require(workerData.loader); // a worker does not inherit it
     const { Mailbox, REQUEST } = require(workerData.mailboxModule);
     const mailbox = new Mailbox(workerData.buffer);
     for (let answers = 1; ; answers++) {
       mailbox.waitForRequest();
       mailbox.stopSelf();
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
    if (i % 2 === 0) mailbox.post(REQUEST.PAUSE);
    assert.equal(await answered, i);
  }
});
