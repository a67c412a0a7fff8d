/** A thread whose program main has compiled already; see workerProgram.ts. */
import { isMainThread, workerData } from 'node:worker_threads';
import { runProgram, type WorkerProgram } from './workerProgram.ts';

if (!isMainThread) runProgram(workerData as WorkerProgram);
