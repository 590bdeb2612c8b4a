/** The option --for of virt-sandbox-bake create: what an image needs for that sandbox. */
import type { Slots } from '../../config/parsers/slots.js';
import type { KernelSelection, SandboxConfig } from '../../config/types.js';
import { kindOf } from '../../libvirt/connect.js';
import { loadProfile } from '../../profile/load.js';
import { prepareDevices } from '../../sandbox/devices/devices.js';
import { neededSlots } from '../../sandbox/devices/slots.js';
import { imageChoices } from '../../sandbox/image-choices.js';
import { moduleSets } from '../../sandbox/prepare/module-sets.js';
import { snapshotObstacle } from '../../sandbox/snapshot/machine.js';
import { describeSandbox } from '../describe-sandbox.js';
import { type Arguments, parseArguments } from '../sandbox-arguments.js';
import { splitWords } from '../split-words.js';
import { type BakeArguments, textOf, usageError } from './arguments.js';

/** A sandbox, and what its image needs. */
export interface ForSandbox {
  readonly config: SandboxConfig;
  /** Its options, with the profile that was chosen. */
  readonly request: Arguments;
  readonly kernel: KernelSelection;
  readonly sets: readonly string[];
  readonly choices: ReturnType<typeof imageChoices>;
  /** The slots that a snapshot needs for it. */
  readonly slots: Slots;
  /** Why it cannot start from a snapshot. */
  readonly obstacle: string | undefined;
}

/**
 * Reads --for; without it, the sandbox is one without options. A profile in --for or in its --config overrides
 * --profile.
 * @throws {SandboxError} `usage`, and what the options of a sandbox throw
 */
export async function readFor(args: BakeArguments): Promise<ForSandbox> {
  const line = textOf(args, 'for');
  const request = parseArguments(splitWords(line ?? ''));
  if ('asks' in request) throw usageError(`--for takes the options of a sandbox, not ${line}`);
  const { command, image, config: file } = request.run;
  const connect = textOf(args, 'connect') ?? request.run.connect;
  if (image !== undefined) throw usageError(`--for cannot have --image ${image}: an image is made for that sandbox`);
  const none = command.length === 0 && file === undefined;
  const { config } = await describeSandbox({ ...request.run, command: none ? ['true'] : command }, false);
  const profile = request.run.profile ?? config.profile ?? textOf(args, 'profile');
  const chosen = await loadProfile(profile);
  const { moduleSets: more = [] } = chosen;
  const kind = connect === undefined ? 'embedded' : kindOf(connect);
  const devices = await prepareDevices(config, { name: config.name ?? '', kind });
  return {
    config,
    request: { ...request.run, ...(profile === undefined ? {} : { profile }) },
    kernel: config.kernel,
    sets: [...new Set([...moduleSets(devices), ...more])],
    choices: imageChoices(chosen),
    slots: neededSlots(devices),
    obstacle: snapshotObstacle(config, devices),
  };
}
