import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as virtioBalloon from '../../vmm-core/abi/virtioBalloon.ts';
import * as virtioConsole from '../../vmm-core/abi/virtioConsole.ts';
import {
  ask,
  contradictions,
  isStruct,
  macroClaim,
  oracleUnavailable,
  structClaims,
  unknownToHeaders,
} from './headerOracle.ts';

type Table = Readonly<Record<string, unknown>>;

const TABLES = {
  'linux/virtio_balloon.h': virtioBalloon,
  'linux/virtio_console.h': virtioConsole,
} as const;

for (const [header, table] of Object.entries<Table>(TABLES)) {
  test(`our table is as <${header}> says`, async (t) => {
    const unavailable = await oracleUnavailable([header]);
    if (unavailable !== undefined) return t.skip(unavailable);
    const claims = Object.entries(table).flatMap(([name, value]) =>
      isStruct(value) ? structClaims(value) : [macroClaim(name, Number(value))],
    );
    const answers = await ask([header], claims);
    assert.deepEqual(contradictions(claims, answers), []);
    assert.deepEqual(unknownToHeaders(claims, answers), []);
  });
}
