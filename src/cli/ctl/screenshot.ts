/** virt-sandbox-ctl screenshot: what the screen of a sandbox shows. */
import { connectSandbox } from '../../control/connect.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { print } from '../terminal/output.js';
import type { CtlArguments } from './arguments.js';

export async function screenshot({ words }: CtlArguments): Promise<number> {
  const [name = '', file = ''] = words;
  const sandbox = await connectSandbox(name);
  try {
    const picture = await sandbox.screen.screenshot();
    if (file === '-') await print(picture);
    else await write(file, picture);
    return 0;
  } finally {
    await sandbox.close();
  }
}

/** A file is replaced as a whole, or not at all. */
async function write(file: string, picture: Buffer): Promise<void> {
  try {
    await replaceFile(file, picture);
  } catch (error) {
    throw new SandboxError({
      stage: 'application',
      code: 'screenshot-not-written',
      message: `the picture cannot be written to ${file}: ${messageOf(error)}`,
      remedy: 'name a file in a directory where you may write',
      cause: error,
    });
  }
}
