/** Requests of protocol/vm.ts: the life of a VM. */
import { checkVmConfig } from '../../config/parseVmConfig.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import { UserError } from '../../errors.ts';
import { create, detach, info, kill, powerButton, reset, type VmInfo } from '../../protocol/vm.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import type { CoreInfo } from '../core.ts';
import type { Session } from '../session.ts';
import { fields } from './decode.ts';
import type { RequestTable } from './table.ts';

export function serveVm(on: RequestTable, session: Session): void {
  on.request0(info, () => vmInfo(session.info()));
  on.request(create, createParams, async (config) => vmInfo(await session.create(config)));
  on.request0(detach, () => session.detach());
  on.request0(powerButton, () => session.powerButton());
  on.request0(reset, () => session.reset());
  on.request0(kill, () => session.kill());
}

export function vmInfo(known: CoreInfo): VmInfo {
  return { protocolVersion: PROTOCOL_VERSION, ...known };
}

/** The other side may be another version or a broken client: its configuration is checked like a user's. */
function createParams(params: unknown): VmConfig {
  const { config, problems } = checkVmConfig(fields(fields(params)['config'], 'config'));
  if (config !== undefined) return config;
  const [first] = problems;
  throw new UserError(`${first?.key ?? 'config'}: ${first?.message ?? 'is not valid'}`);
}
