/** Chooses the kernel to boot, and says why. */

import type { KernelSelection } from '../config/types.js';
import { messageOf, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { option } from '../util/option-names.js';
import type { KernelFile } from './identify.js';
import { Installation, type KernelSearchPaths } from './search-paths.js';

/** The kernel that was chosen. */
export interface KernelChoice {
  readonly file: KernelFile;
  readonly version: string;
  /** The kernel's module tree. */
  readonly modulesDirectory: string;
  /** Which kernel and why, as part of a sentence. */
  readonly reason: string;
}

/** Says what a kernel lacks, as the end of a sentence; undefined if it has everything. */
export type Lacks = (version: string, modulesDirectory: string) => Promise<string | undefined>;

const installOne = () =>
  `install one (Debian: linux-image-amd64) or name one with ${option('kernel.path')} and ${option('kernel.modulesPath')}`;

function kernelError(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'kernel', code, message, remedy });
}

/**
 * Makes a choice after checking that its module tree exists.
 *
 * @throws {SandboxError} `modules-not-found`, `modules-not-indexed`, `modules-other-version`, `modules-path-is-a-tree`
 */
async function choose(installation: Installation, file: KernelFile, why: string): Promise<KernelChoice> {
  const { version, path } = file;
  if (!(await installation.hasTree(version))) throw await installation.missingTreeError(version);
  const modulesDirectory = installation.treeOf(version);
  return { file, version, modulesDirectory, reason: `kernel ${version} from ${path}, ${why}` };
}

async function byPath(installation: Installation, path: string, wanted: string | undefined): Promise<KernelChoice> {
  const file = await installation.identify(path);
  if (wanted !== undefined && wanted !== file.version) {
    throw kernelError(
      'kernel-version-mismatch',
      `kernel ${path} is version ${file.version}, not ${wanted}`,
      `leave ${option('kernel.version')} out, or name the kernel of that version with ${option('kernel.path')}`,
    );
  }
  return choose(installation, file, 'as asked for');
}

async function byVersion(installation: Installation, version: string): Promise<KernelChoice> {
  const { usable, unusable } = await installation.kernels();
  const file = usable.find((kernel) => kernel.version === version);
  if (file !== undefined) return choose(installation, file, 'as asked for');
  const broken = unusable.find((kernel) => kernel.version === version);
  if (broken !== undefined) throw broken.error;
  const others = usable.map((kernel) => kernel.version).join(', ');
  throw kernelError(
    'kernel-not-found',
    `no kernel ${version} is installed in ${installation.bootDirectory} or ${installation.modulesDirectory}`,
    others === ''
      ? installOne()
      : `choose one of ${others} with ${option('kernel.version')}, or name a file with ${option('kernel.path')}`,
  );
}

/**
 * Chooses the running kernel if it serves, else the newest that does, else the first with modules, whatever it lacks.
 */
async function byDefault(installation: Installation, lacks: Lacks): Promise<KernelChoice> {
  const { usable, unusable } = await installation.kernels();
  const running = usable.find((kernel) => kernel.version === installation.release);
  const passedOver = [
    ...(running === undefined ? [`the running kernel ${installation.release} has no usable image here`] : []),
    ...unusable.map((kernel) => kernel.error.message),
  ];
  const candidates = running === undefined ? usable : [running, ...usable.filter((kernel) => kernel !== running)];
  let lacking: KernelFile | undefined;
  for (const file of candidates) {
    const lack = await lackOf(installation, file, lacks);
    if (lack === undefined) {
      const why = file === running ? 'the running one' : `the newest that serves (${passedOver.join('; ')})`;
      return choose(installation, file, why);
    }
    passedOver.push(`${file === running ? 'the running kernel ' : 'kernel '}${file.version} ${lack}`);
    if (await installation.hasTree(file.version)) lacking ??= file;
  }
  if (lacking !== undefined) return choose(installation, lacking, `and none that serves (${passedOver.join('; ')})`);
  if (unusable[0] !== undefined) throw unusable[0].error;
  const { bootDirectory, modulesDirectory } = installation;
  throw kernelError(
    'kernel-not-found',
    `no kernel with modules in ${bootDirectory} and ${modulesDirectory}`,
    installOne(),
  );
}

/** Says what a candidate lacks. A damaged module tree is a lack too, so that the search goes on. */
async function lackOf(installation: Installation, file: KernelFile, lacks: Lacks): Promise<string | undefined> {
  if (!(await installation.hasTree(file.version))) return 'has no modules';
  try {
    return await lacks(file.version, installation.treeOf(file.version));
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return `cannot be used (${messageOf(error)})`;
  }
}

/**
 * Finds the kernel to boot:
 *
 * 1. the one that `selection` names;
 * 2. the running kernel, if it has an image and modules and lacks nothing;
 * 3. the newest installed kernel that lacks nothing;
 * 4. the first one with modules. The caller reports what it lacks.
 *
 * @param lacks Called for each candidate if the selection names none.
 * @param inputs Told of every file and directory that the result depends on.
 * @throws {SandboxError} of stage `kernel` or `modules`: no kernel, a kernel that cannot be used, or no modules for it
 */
export async function findKernel(
  selection: KernelSelection,
  lacks: Lacks,
  inputs: InputLog,
  searchPaths: KernelSearchPaths = {},
): Promise<KernelChoice> {
  const installation = new Installation(selection, searchPaths, inputs);
  if (selection.path !== undefined) return byPath(installation, selection.path, selection.version);
  if (selection.version !== undefined) return byVersion(installation, selection.version);
  return byDefault(installation, lacks);
}

/** Every installed kernel that can be booted and has a module tree, newest first. */
export async function installedKernels(
  selection: KernelSelection,
  inputs: InputLog,
  searchPaths: KernelSearchPaths = {},
): Promise<KernelChoice[]> {
  const installation = new Installation(selection, searchPaths, inputs);
  const { usable } = await installation.kernels();
  const choices: KernelChoice[] = [];
  for (const file of usable) {
    if (await installation.hasTree(file.version)) choices.push(await choose(installation, file, 'installed'));
  }
  return choices;
}
