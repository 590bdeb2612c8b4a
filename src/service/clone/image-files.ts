/**
 * Files of a state that an image keeps. Guests have written that file system, so no kernel of this host mounts it: a
 * machine is started with the image, with nothing of the service's but its root.
 */
import { constants } from 'node:os';
import type { SandboxConfig } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import { Files } from '../../sandbox/files/files.js';
import { KEPT } from '../../sandbox/overlay/changes-inside.js';
import { asRoot } from '../../sandbox/process/as-root.js';
import { BuiltinError } from '../../sandbox/process/builtin.js';
import { Sandbox } from '../../sandbox/sandbox.js';
import { SandboxError } from '../../util/errors.js';
import { MOST_BYTES, type StateFiles } from './identity.js';

/** Of a name that is not there, and of a file that is none of those that are changed. */
const ABSENT = ['file-not-found', 'not-a-directory', 'file-too-large'];

export interface ImageOptions {
  readonly connect: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a machine with the image for as long as `work` takes.
 * @param config of the service
 * @throws {SandboxError} why the machine does not start, and what `work` throws
 */
export async function withImageFiles<T>(
  config: SandboxConfig,
  path: string,
  { connect, signal }: ImageOptions,
  work: (files: StateFiles) => Promise<T>,
): Promise<T> {
  const sandbox = await Sandbox.startChecked(
    validateConfig(quietConfig(config, path), true),
    { connect, signal },
    'none',
  );
  // Why it ended is what is being done in it that says so.
  sandbox.exited.catch(() => {});
  try {
    const { channel, guest } = sandbox.launched;
    return await work(new ImageFiles(new Files(channel, asRoot(guest))));
  } finally {
    await sandbox.stop();
  }
}

/** A sandbox with that image, in which nothing of the service runs, and which reaches nothing. */
function quietConfig(config: SandboxConfig, path: string): SandboxConfig {
  return {
    ...config,
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

/** The kernel follows no link in the layers. */
function isBehindLink({ cause }: SandboxError): boolean {
  return cause instanceof BuiltinError && cause.errno === constants.errno.ELOOP;
}

class ImageFiles implements StateFiles {
  readonly #files: Files;

  constructor(files: Files) {
    this.#files = files;
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      // Of the layer that the image keeps: below it may be another of that name.
      const { type } = await this.#files.stat(`${KEPT}/upper${path}`, { followLinks: false });
      return type === 'file' ? await this.#files.read(path, { maxBytes: MOST_BYTES }) : undefined;
    } catch (error) {
      if (error instanceof SandboxError && (ABSENT.includes(error.code) || isBehindLink(error))) return undefined;
      throw error;
    }
  }

  async replace(path: string, content: string | Buffer): Promise<void> {
    await this.#files.write(path, content);
  }
}
