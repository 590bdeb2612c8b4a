/**
 * The image that keeps the state of a machine. Guests have written that file system, so no kernel of this host mounts
 * it: a machine is started with the image, with nothing of the service's but its root.
 */
import type { SandboxConfig } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import { Sandbox } from '../../sandbox/sandbox.js';
import { limitsAreOfUnit, withoutUnitLimits } from '../systemd/limits.js';
import { ImageSession } from './image-session.js';

export interface ImageOptions {
  readonly connect: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a machine with the image for as long as `work` takes.
 * @param config of the service
 * @throws {SandboxError} why the machine does not start, and what `work` throws
 */
export async function withImage<T>(
  config: SandboxConfig,
  path: string,
  { connect, signal }: ImageOptions,
  work: (session: ImageSession) => Promise<T>,
): Promise<T> {
  // libvirtd may be killed meanwhile: what it leaves would keep the image from the next call.
  const options = { connect, signal, outlivesDaemon: true };
  const sandbox = await Sandbox.startChecked(validateConfig(quietConfig(config, path, connect), true), options, 'none');
  // Why it ended is what is being done in it that says so.
  sandbox.exited.catch(() => {});
  try {
    return await work(new ImageSession(sandbox.launched));
  } finally {
    await sandbox.stop();
  }
}

/**
 * A sandbox with that image, in which nothing of the service runs, and which reaches nothing.
 * @param connect where it is to run
 */
export function quietConfig(config: SandboxConfig, path: string, connect?: string): SandboxConfig {
  const { tuning } = limitsAreOfUnit(connect) ? withoutUnitLimits(config) : config;
  return {
    ...config,
    // What limits the service limits the work on its image, but for limits of its unit, which is another control group.
    // What gives it more than others have is not for that.
    tuning: {
      ...tuning,
      cpuScheduler: undefined,
      numa: [],
      hugePages: undefined,
      ioThreads: undefined,
      diskLimits: [],
      networkLimits: [],
    },
    name: undefined,
    uuid: undefined,
    overlay: { type: 'image', path },
    service: undefined,
    privileged: undefined,
    command: [],
    mounts: [],
    disks: [],
    networks: [],
    publish: [],
    home: undefined,
    cwd: undefined,
    shell: false,
    tty: false,
    environment: [],
  };
}
