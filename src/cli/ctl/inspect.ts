/** virt-sandbox-ctl inspect: all that is known of sandboxes. */
import { connectSandbox } from '../../control/connect.js';
import { SandboxError } from '../../util/errors.js';
import { printJson } from '../output.js';
import { tellFailure } from '../program.js';
import { type CtlArguments, PROGRAM } from './arguments.js';
import { describeRecord } from './describe.js';

export async function inspect({ words }: CtlArguments): Promise<number> {
  const found: object[] = [];
  let status: number | undefined;
  for (const name of words) {
    try {
      const sandbox = await connectSandbox(name);
      await sandbox.close();
      found.push({ ...describeRecord(sandbox.record), name });
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      const failed = tellFailure(PROGRAM, error);
      status ??= failed;
    }
  }
  await printJson(found);
  return status ?? 0;
}
