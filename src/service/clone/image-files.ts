/** Files of a state that an image keeps, as a machine with the image has them. */
import { constants } from 'node:os';
import type { SandboxConfig } from '../../config/types.js';
import { Files } from '../../sandbox/files/files.js';
import { KEPT } from '../../sandbox/overlay/changes-inside.js';
import { asRoot } from '../../sandbox/process/as-root.js';
import { BuiltinError } from '../../sandbox/process/builtin.js';
import { SandboxError } from '../../util/errors.js';
import { type ImageOptions, withImage } from '../store/image-machine.js';
import { MOST_BYTES, type StateFiles } from './identity.js';

/** Of a name that is not there, and of a file that is none of those that are changed. */
const ABSENT = ['file-not-found', 'not-a-directory', 'file-too-large'];

/**
 * Runs `work` with the files of an image.
 * @param config of the service
 * @throws {SandboxError} as `withImage`
 */
export async function withImageFiles<T>(
  config: SandboxConfig,
  path: string,
  options: ImageOptions,
  work: (files: StateFiles) => Promise<T>,
): Promise<T> {
  return withImage(config, path, options, ({ launched: { channel, guest } }) =>
    work(new ImageFiles(new Files(channel, asRoot(guest)))),
  );
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
