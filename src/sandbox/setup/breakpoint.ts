/** Breakpoints: the plan pauses before a step, until a shell in the guest ends and lets it go on. */
import { createServer, type Socket } from 'node:net';
import { planSandbox } from '../../../init/common/plan.js';
import type { SandboxConfig } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';
import type { Devices } from '../devices/devices.js';
import { coveredPaths } from '../devices/hidden-paths.js';
import { shellPaths } from '../devices/shell.js';
import { socketDirectory } from '../state/alias.js';
import type { LaunchOptions, Stop } from '../types.js';
import { guestConfig } from './guest-config.js';
import { guestIncludes } from './includes.js';

/** Steps of a start that are not in the plan: before it and behind it. */
export const INTERFACES_STEP = 'interfaces';
export const RESOLVER_STEP = 'resolver';
export const INCLUDES_STEP = 'includes';
export const SCREEN_STEP = 'screen';
export const SPAWN_STEP = 'spawn';

/** Up to this step the guest has no program but the init. */
const ROOT_STEP = 'root';

interface Inspected {
  readonly name: string;
  readonly devices: Devices;
}

/** The steps of a start that can have a breakpoint, in order. */
function stepsOf(config: SandboxConfig, prepared: Inspected): string[] {
  const inputs = { now: { seconds: 0n, nanoseconds: 0 }, entropy: new Uint8Array(), devices: new Map() };
  // The acceleration is not known yet. Only under TCG is there a step that brings up processors.
  const mayEmulate = prepared.devices.guest.platform === 'machine' && config.acceleration !== 'kvm';
  const whole = guestConfig(config, { ...prepared, ...(mayEmulate && { acceleration: 'tcg' as const }) });
  // The steps for shells are no steps of the sandbox itself.
  const guest = {
    ...whole,
    shell: undefined,
    hidden: prepared.devices.coversHidden ? coveredPaths(config) : undefined,
  };
  const hasNetwork = guest.network !== undefined;
  return [
    ...(hasNetwork ? [INTERFACES_STEP] : []),
    ...planSandbox(guest, inputs).map(({ name }) => name),
    ...(hasNetwork ? [RESOLVER_STEP] : []),
    ...(guestIncludes(config).length > 0 ? [INCLUDES_STEP] : []),
    ...(guest.screen === undefined ? [] : [SCREEN_STEP]),
    SPAWN_STEP,
  ];
}

/**
 * Whether the breakpoint is before the root is mounted, so that the boot image must bring a shell.
 * @throws {SandboxError} `unknown-step`
 */
export function stopsBeforeRoot(
  config: SandboxConfig,
  prepared: Inspected,
  { breakpoint }: Pick<LaunchOptions, 'breakpoint'>,
): boolean {
  if (!breakpoint) return false;
  const steps = stepsOf(config, prepared);
  const at = steps.indexOf(breakpoint.step);
  if (at >= 0) return at <= steps.indexOf(ROOT_STEP);
  throw new SandboxError({
    stage: 'config',
    code: 'unknown-step',
    message: `LIBVIRT_SANDBOX_INIT_DEBUG=break:${breakpoint.step} names no step of this sandbox`,
    remedy: `use one of ${steps.join(', ')}`,
  });
}

export function givenUpError(step: string): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'given-up',
    message: `the start was given up at the breakpoint before step ${step}, because its shell's status was not 0`,
    remedy: 'leave the shell with exit 0 to go on',
  });
}

/**
 * Waits until a shell at the breakpoint ends. A user may detach from it and attach again.
 * @returns whether to go on: its status was 0
 */
export async function awaitVerdict({ stateDirectory, ended }: Stop): Promise<boolean> {
  const { breakpoint } = shellPaths(socketDirectory(stateDirectory));
  const server = createServer();
  const sockets = new Set<Socket>();
  try {
    return await new Promise<boolean>((resolve, reject) => {
      server.on('connection', (socket) => {
        sockets.add(socket);
        let text = '';
        socket.on('error', () => {});
        socket.setEncoding('utf8').on('data', (chunk: string) => {
          text = (text + chunk).slice(-16);
          const [, status] = /^(\d{1,3})\n$/.exec(text) ?? [];
          if (status !== undefined) resolve(Number(status) === 0);
        });
      });
      server.once('error', reject);
      ended.addEventListener('abort', () => resolve(false), { once: true });
      server.listen(breakpoint);
    });
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
