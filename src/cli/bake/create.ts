/** virt-sandbox-bake create */

import { checkSlots, DEFAULT_SLOTS, mostSlots, parseSlots, type Slots, slotsText } from '../../config/parsers/slots.js';
import { hostPath } from '../../config/path.js';
import type { KernelSelection, SandboxConfig } from '../../config/types.js';
import { INITRD_COMPRESSIONS, type InitrdCompression } from '../../image/build/compress.js';
import { createImage } from '../../image/store/create.js';
import { kindOf } from '../../libvirt/connect.js';
import { loadProfile } from '../../profile/load.js';
import { prepareDevices } from '../../sandbox/devices/devices.js';
import { neededSlots } from '../../sandbox/devices/slots.js';
import { imageChoices } from '../../sandbox/image-choices.js';
import { moduleSets, moduleSetsWith } from '../../sandbox/prepare/module-sets.js';
import { snapshotObstacle } from '../../sandbox/snapshot/machine.js';
import { setsOfSlots, VIRTIOFS_SET } from '../../sandbox/snapshot/slots.js';
import { SandboxError } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { type Arguments, parseArguments } from '../sandbox/arguments.js';
import { describeSandbox } from '../sandbox/config-file.js';
import { splitWords } from '../split-words.js';
import { progressLine } from '../terminal/report.js';
import { type BakeArguments, textOf, usageError, wordsOf } from './arguments.js';
import { createWarm, type WarmResult } from './create-snapshot.js';
import { printJson, printLines, size } from './output.js';

export async function create(args: BakeArguments): Promise<number> {
  for (const name of args['warm'] === true ? [] : ['slots', 'connect'])
    if (args[name] !== undefined) throw usageError(`--${name} goes with --warm`);
  const progress = progressLine('virt-sandbox-bake');
  try {
    const wanted = await imageFor(args);
    const slots = args['warm'] === true ? slotsOf(args, wanted.slots) : undefined;
    if (slots && wanted.obstacle !== undefined)
      process.stderr.write(
        `virt-sandbox-bake: warning: a sandbox with the options of --for will boot all the same, because ${wanted.obstacle}\n`,
      );
    let warm: WarmResult | undefined;
    const create = (ofSlots: readonly string[]) =>
      createImage({
        kernel: {
          version: textOf(args, 'kernver') ?? wanted.kernel.version,
          path: pathOf(args, 'kernpath') ?? wanted.kernel.path,
          modulesPath: pathOf(args, 'kmodpath') ?? wanted.kernel.modulesPath,
        },
        // A saved machine's own root and its places for mounts are 9p, whatever else it is to have.
        sets: moduleSetsWith(
          [...wanted.sets, ...ofSlots],
          [...wordsOf(args, 'with').flatMap((word) => word.split(',').filter(Boolean)), ...(slots ? ['root-9p'] : [])],
        ),
        nativeInit: hostProgram('init'),
        ...wanted.choices,
        compression: compressionOf(textOf(args, 'compress') ?? wanted.choices.compression),
        guestNode: guestNodeOf(args),
        rebuild: args['rebuild'] === true,
        name: textOf(args, 'name'),
        output: textOf(args, 'output'),
        ...(slots && {
          complete: async (directory: string) => {
            warm = await createWarm(args, wanted.config, wanted.request, slots, directory, progress.show);
          },
        }),
        onProgress: progress.show,
      });
    const image = await createWithSets(slots ? setsOfSlots(slots) : [], create);
    const { manifest } = image;
    const result = {
      image: image.directory,
      id: image.id,
      ...(image.name === undefined ? {} : { name: image.name }),
      ...(image.output === undefined ? {} : { output: image.output }),
      kernelVersion: image.kernelVersion,
      reason: image.reason,
      sets: manifest.sets,
      compression: manifest.compression,
      size: manifest.files.reduce((sum, file) => sum + file.size, 0),
      built: image.fresh,
      ...warm,
    };
    progress.clear();
    if (args['json'] === true) await printJson(result);
    else
      await printLines(
        Object.entries({
          ...result,
          sets: result.sets.join(', '),
          size: size(result.size),
          ...(warm ? { warmSize: size(warm.warmSize), slots: slotsText(warm.slots) } : {}),
        }).map(([name, value]) => `${name}: ${value}`),
      );
    return 0;
  } finally {
    progress.clear();
  }
}

/** A kernel without virtiofs serves all sandboxes but those that it would serve directories to. */
async function createWithSets<T>(sets: readonly string[], create: (sets: readonly string[]) => Promise<T>): Promise<T> {
  try {
    return await create(sets);
  } catch (error) {
    const isAbsent = error instanceof SandboxError && error.code === 'feature-absent';
    if (!isAbsent || !sets.includes(VIRTIOFS_SET)) throw error;
    return create(sets.filter((set) => set !== VIRTIOFS_SET));
  }
}

/** What the sandbox needs that has these options; a profile among them counts before the other. */
async function imageFor(args: BakeArguments): Promise<{
  kernel: KernelSelection;
  sets: readonly string[];
  choices: ReturnType<typeof imageChoices>;
  config: SandboxConfig;
  request: Arguments;
  slots: Slots;
  /** Why it could not go on from a saved machine. */
  obstacle: string | undefined;
}> {
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
    kernel: config.kernel,
    sets: [...new Set([...moduleSets(devices), ...more])],
    choices: imageChoices(chosen),
    config,
    slots: neededSlots(devices),
    obstacle: snapshotObstacle(config, devices),
    request: { ...request.run, ...(profile === undefined ? {} : { profile }) },
  };
}

/** Those that were asked for, else the usual ones and what the sandbox needs that it is for. */
function slotsOf(args: BakeArguments, needed: Slots): Slots {
  const usual = mostSlots(DEFAULT_SLOTS, needed);
  const text = textOf(args, 'slots');
  return text === undefined ? checkSlots(usual) : parseSlots(text, usual);
}

function pathOf(args: BakeArguments, name: string): string | undefined {
  const path = textOf(args, name);
  return path === undefined ? undefined : hostPath(path, `--${name}`);
}

/** The Node.js for the guest where it is to have one. */
function guestNodeOf(args: BakeArguments): string | undefined {
  const where = textOf(args, 'common-init') ?? 'host';
  const node = pathOf(args, 'node');
  if (where === 'guest') return node ?? process.execPath;
  if (where !== 'host') throw usageError(`--common-init ${where} is neither host nor guest`);
  if (node !== undefined) throw usageError('--node goes with --common-init guest');
  return undefined;
}

function compressionOf(given = 'none'): InitrdCompression {
  const known = INITRD_COMPRESSIONS.find((name) => name === given);
  if (known === undefined) throw usageError(`--compress ${given} is not one of ${INITRD_COMPRESSIONS.join(', ')}`);
  return known;
}
