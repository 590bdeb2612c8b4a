/** The option --for of virt-sandbox-bake create: what an image needs for that sandbox. */
import { withHomeMount } from '../../config/home.js';
import type { Slots } from '../../config/parsers/slots.js';
import type { KernelSelection, SandboxConfig } from '../../config/types.js';
import { kernelServes } from '../../image/build/kernel-for-sets.js';
import { kindOf } from '../../libvirt/connect.js';
import { embeddedModel } from '../../libvirt/driver-cleanup.js';
import { loadProfile } from '../../profile/load.js';
import { prepareDevices } from '../../sandbox/devices/devices.js';
import { chooseRoot, type RootTransport } from '../../sandbox/devices/root-transport.js';
import { neededSlots } from '../../sandbox/devices/slots.js';
import { imageChoices } from '../../sandbox/image-choices.js';
import { withAnyImage } from '../../sandbox/image-root/any-image.js';
import { moduleSets } from '../../sandbox/prepare/module-sets.js';
import { snapshotObstacle } from '../../sandbox/snapshot/machine.js';
import { describeSandbox } from '../describe-sandbox.js';
import { type Arguments, parseArguments } from '../sandbox-arguments.js';
import { splitWords } from '../split-words.js';
import { type BakeArguments, pathOf, textOf, usageError } from './arguments.js';

/** A sandbox, and what its image needs. */
export interface ForSandbox {
  readonly config: SandboxConfig;
  /** The same with its own root. */
  readonly described: SandboxConfig;
  /** Its options, with the profile that was chosen. */
  readonly request: Arguments;
  readonly kernel: KernelSelection;
  /** The kernel has 9p beside what serves the root. The mount slots of a snapshot are 9p. */
  readonly has9p: boolean;
  /** Sets of what else could serve the root, which the options do not exclude and the kernel has. */
  readonly otherRoots: readonly string[];
  readonly sets: readonly string[];
  readonly choices: ReturnType<typeof imageChoices>;
  /** The slots that a snapshot needs for it. */
  readonly slots: Slots;
  /** Why it cannot start from a snapshot. */
  readonly obstacle: string | undefined;
}

/**
 * Reads --for; without it, the sandbox is one without options. A profile in --for or in its --config overrides
 * --profile. The OCI image of its root is not pulled.
 * @throws {SandboxError} `usage`, and what the options of a sandbox throw
 */
export async function readFor(args: BakeArguments): Promise<ForSandbox> {
  const line = textOf(args, 'for');
  const asked = textOf(args, 'root');
  const request = parseArguments([...(asked === undefined ? [] : ['--root', asked]), ...splitWords(line ?? '')]);
  if ('asks' in request) throw usageError(`--for takes the options of a sandbox, not ${line}`);
  const { command, image, config: file } = request.run;
  const connect = textOf(args, 'connect') ?? request.run.connect;
  if (image !== undefined) throw usageError(`--for cannot have --image ${image}: an image is made for that sandbox`);
  const none = command.length === 0 && file === undefined;
  const described = await describeSandbox({ ...request.run, command: none ? ['true'] : command }, false);
  const config = withHomeMount(withAnyImage(described.config));
  const profile = request.run.profile ?? config.profile ?? textOf(args, 'profile');
  const chosen = await loadProfile(profile);
  const { moduleSets: more = [] } = chosen;
  const kind = connect === undefined ? 'embedded' : kindOf(connect);
  const kernel = kernelOf(args, config.kernel);
  const facts = { kind, model: kind === 'embedded' ? embeddedModel() : undefined };
  const { transport, other } = await chooseRoot(config, facts);
  const serves = (...roots: readonly RootTransport[]) =>
    kernelServes({ kernel, sets: roots.map((name) => `root-${name}`) });
  const root = other !== undefined && !(await serves(transport)) ? other : transport;
  const [has9p, hasVirtiofs] = [await serves(root, '9p'), await serves(root, 'virtiofs')];
  const devices = await prepareDevices(config, { name: config.name ?? '', kind, root });
  return {
    config,
    described: described.config,
    request: { ...request.run, ...(profile === undefined ? {} : { profile }) },
    kernel,
    has9p,
    otherRoots: [
      ...(config.rootFs !== 'virtiofs' && has9p ? ['root-9p'] : []),
      ...(config.rootFs !== '9p' && hasVirtiofs ? ['root-virtiofs'] : []),
    ],
    sets: [...new Set([...moduleSets(devices), ...more])],
    choices: imageChoices(chosen),
    slots: neededSlots(devices),
    obstacle: snapshotObstacle(config, devices),
  };
}

/** The kernel of the options of bake, and else that of --for. */
function kernelOf(args: BakeArguments, { version, path, modulesPath }: KernelSelection): KernelSelection {
  return {
    version: textOf(args, 'kernver') ?? version,
    path: pathOf(args, 'kernpath') ?? path,
    modulesPath: pathOf(args, 'kmodpath') ?? modulesPath,
  };
}
