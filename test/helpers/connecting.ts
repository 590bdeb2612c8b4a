/** connecting NAME: connects to a running sandbox, runs a program in it, and prints what came of it. */
import { connectSandbox } from '../../src/control/connect.js';
import { runningSandboxes } from '../../src/control/list.js';
import { readLog } from '../../src/control/read-log.js';
import { findRunning } from '../../src/sandbox/state/running.js';
import { SandboxError } from '../../src/util/errors.js';

const [name = ''] = process.argv.slice(2);

async function outcome(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SandboxError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

async function connected(): Promise<string> {
  await using sandbox = await connectSandbox(name);
  return (await sandbox.run('id -u')).stdout;
}

async function logged(): Promise<string> {
  for await (const { bytes } of readLog(await findRunning(name))) return String(bytes);
  return '';
}

const listed = (await runningSandboxes({ all: true })).find(({ called }) => called === name);
process.stdout.write(
  `${JSON.stringify({
    connected: await outcome(connected),
    logged: await outcome(logged),
    record: listed && (listed.record?.name ?? null),
  })}\n`,
);
process.exit();
