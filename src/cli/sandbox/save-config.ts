/** --save-config: writes a sandbox to a sandbox.cfg. */

import { release } from 'node:os';
import { formatSandboxCfg, parseSandboxCfg, saveSandboxCfg } from '../../config/sandbox-cfg/sandbox-cfg.js';
import type { SandboxConfig } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';
import type { Described } from '../describe-sandbox.js';
import { programName } from '../program-name.js';
import { print } from '../terminal/output.js';

/**
 * Writes the sandbox to `path`, or to standard output for `-`. The file names the version of the kernel that would be
 * booted.
 * @throws {SandboxError} `config-not-writable`, `output-failed`
 */
export async function saveConfig({ config, savedTty }: Described, path: string): Promise<void> {
  const saved = { ...config, tty: savedTty };
  const options = { kernelRelease: await kernelRelease(config) };
  if (path === '-') await print(await formatSandboxCfg(saved, options));
  else await saveSandboxCfg(path, saved, options);
  if (await gainsCapabilities(saved)) {
    process.stderr.write(
      `${programName()}: root keeps every capability when it is run from this file, as in libvirt-sandbox; ` +
        'to take them from it add privileged=false to [identity]\n',
    );
  }
}

/**
 * Whether root has no capabilities in `config` and all of them once it is read back: in the format of libvirt-sandbox,
 * root without a word about capabilities keeps them.
 */
async function gainsCapabilities(config: SandboxConfig): Promise<boolean> {
  if (config.privileged !== undefined || config.identity.uid !== 0) return false;
  return (await parseSandboxCfg(await formatSandboxCfg(config))).privileged === true;
}

async function kernelRelease(config: SandboxConfig): Promise<string> {
  if (config.kernel.version !== undefined) return config.kernel.version;
  if (config.image !== undefined) {
    const { imageRef, readImage } = await import('../../image/store/open.js');
    return (await readImage(imageRef(config.image))).kernel.version;
  }
  const { kernelServes, kernelVersionFor } = await import('../../image/build/kernel-for-sets.js');
  const wanted = ['console', config.rootFs === '9p' ? 'root-9p' : 'root-virtiofs'];
  try {
    const { kernel } = config;
    const sets = config.rootFs !== 'auto' || (await kernelServes({ kernel, sets: wanted })) ? wanted : ['root-9p'];
    return await kernelVersionFor({ kernel, sets });
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
  }
  // The file may be for another host. Without a usable kernel here, name the running one, as libvirt-sandbox does.
  return release();
}
