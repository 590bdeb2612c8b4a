/** Files of a state that an image keeps, as a machine with the image has them. */
import { constants } from 'node:os';
import type { SandboxConfig } from '../../config/types.js';
import { KEPT } from '../../sandbox/overlay/changes-inside.js';
import { BuiltinError } from '../../sandbox/process/builtin.js';
import { SandboxError } from '../../util/errors.js';
import { type ImageOptions, withImage } from '../store/image-machine.js';
import type { ImageSession } from '../store/image-session.js';
import { MOST_BYTES, type StateFiles } from './identity.js';

/** Of a name that is not there, and of a file that is none of those that are changed. */
const ABSENT = ['file-not-found', 'not-a-directory', 'file-too-large'];

/**
 * Runs `work` with the files of an image. What it has changed is on the disk then.
 * @param config of the service
 * @throws {SandboxError} as `withImage` and `ImageSession.file`
 */
export async function withImageFiles<T>(
  config: SandboxConfig,
  path: string,
  options: ImageOptions,
  work: (files: StateFiles) => Promise<T>,
): Promise<T> {
  return withImage(config, path, options, async (session) => {
    const done = await work(new ImageFiles(session));
    // A machine that ends by itself before that keeps what it was given in its memory.
    await session.file('what was changed', (calls) => calls.sync());
    return done;
  });
}

/** The kernel follows no link in the layers. */
function isBehindLink({ cause }: SandboxError): boolean {
  return cause instanceof BuiltinError && cause.errno === constants.errno.ELOOP;
}

/** The machine may say anything. */
export class ImageFiles implements StateFiles {
  readonly #session: ImageSession;

  constructor(session: ImageSession) {
    this.#session = session;
  }

  async read(path: string): Promise<Buffer | undefined> {
    try {
      return await this.#session.file(path, async (calls) => {
        // Of the layer that the image keeps: below it may be another of that name.
        const { type } = await calls.stat(`${KEPT}/upper${path}`);
        return type === 'file' ? await calls.read(path, MOST_BYTES) : undefined;
      });
    } catch (error) {
      if (error instanceof SandboxError && (ABSENT.includes(error.code) || isBehindLink(error))) return undefined;
      throw error;
    }
  }

  async replace(path: string, content: string | Buffer): Promise<void> {
    await this.#session.file(path, (calls) => calls.write(path, content));
  }
}
