/** From a command line to a sandbox and to a sandbox.cfg. */
import { release } from 'node:os';
import { isatty } from 'node:tty';
import { configFromOptions } from '../../config/options.js';
import type { SandboxConfig } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';
import { print } from '../terminal/output.js';
import type { Arguments } from './arguments.js';

/** A sandbox, and what its file is to say of its terminal. */
export interface Described {
  readonly config: SandboxConfig;
  /** Of the file that was read; else whether standard input is a terminal, as libvirt-sandbox has it. */
  readonly savedTty: boolean;
  /** What of it a person who reads the file may not expect. */
  readonly note?: string | undefined;
}

/**
 * The sandbox that the command line describes: the one in its --config, if it has that, changed by its other options.
 * @param tty whether the application gets a terminal, whatever a file says
 */
export async function describeSandbox(args: Arguments, tty: boolean): Promise<Described> {
  if (args.config === undefined) return { config: await configFromOptions({ ...args, tty }), savedTty: isatty(0) };
  const { loadSandboxCfg } = await import('../../config/sandbox-cfg/sandbox-cfg.js');
  const base = await loadSandboxCfg(args.config);
  const command = args.command.length > 0 ? args.command : undefined;
  const config = await configFromOptions({ ...args, command, tty }, undefined, base);
  // libvirt-sandbox's file says root and no more, and is not to mean less here.
  const keeps = config.privileged === true && args.privileged !== true;
  const note = keeps
    ? `capabilities: root keeps all, unless ${args.config} has privileged=false in [identity]`
    : undefined;
  return { config, savedTty: base.tty, note };
}

/** Writes the sandbox to `path`, or to standard output for `-`, with the version of the kernel that would be booted. */
export async function save({ config, savedTty }: Described, path: string): Promise<void> {
  const { formatSandboxCfg, saveSandboxCfg } = await import('../../config/sandbox-cfg/sandbox-cfg.js');
  const saved = { ...config, tty: savedTty };
  const options = { kernelRelease: await kernelRelease(config) };
  if (path === '-') await print(await formatSandboxCfg(saved, options));
  else await saveSandboxCfg(path, saved, options);
  if (await gainsCapabilities(saved)) {
    process.stderr.write(
      'virt-sandbox: root keeps every capability when it is run from this file, as in libvirt-sandbox; to take them from it add privileged=false to [identity]\n',
    );
  }
}

/** libvirt-sandbox's file says root and no more; what it means is not what this command line does. */
async function gainsCapabilities(config: SandboxConfig): Promise<boolean> {
  if (config.privileged !== undefined || config.identity.uid !== 0) return false;
  const { formatSandboxCfg, parseSandboxCfg } = await import('../../config/sandbox-cfg/sandbox-cfg.js');
  return (await parseSandboxCfg(await formatSandboxCfg(config))).privileged === true;
}

async function kernelRelease(config: SandboxConfig): Promise<string> {
  if (config.kernel.version !== undefined) return config.kernel.version;
  if (config.image !== undefined) {
    const { openImage } = await import('../../image/store/open.js');
    return (await openImage(config.image, [])).kernelVersion;
  }
  const { kernelVersionFor } = await import('../../image/build/choose-kernel.js');
  try {
    return await kernelVersionFor({ kernel: config.kernel, sets: ['console', 'root-9p'] });
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    // The file may be for another host; then it says what the running one has, as in libvirt-sandbox.
    return release();
  }
}
