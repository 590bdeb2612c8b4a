/**
 * staying NAME: finds a detached sandbox as the user that it runs as, runs a program in it, reads its log, stops it, and
 * prints what came of it.
 */
import { readLog } from '../../src/control/read-log.js';
import { connectSandbox, runningSandboxes } from '../../src/index.js';
import { findRunning } from '../../src/sandbox/state/running.js';

const [name = ''] = process.argv.slice(2);

/** Waits for the first record. */
async function logged(): Promise<string> {
  for await (const { bytes } of readLog(await findRunning(name), { follow: true })) return String(bytes);
  return '';
}

const listed = (await runningSandboxes()).map(({ called }) => called);
await using sandbox = await connectSandbox(name);
const { stdout } = await sandbox.run('id -u; cat', { input: 'x' });
const log = await logged();
const { holderBytes, memoryBytes, processes } = await sandbox.stats();
const { pid, detached } = sandbox.record;
const ending = sandbox.wait();
await sandbox.stop();
const { exitCode } = await ending;
const said = {
  isListed: listed.includes(name),
  stdout,
  log,
  holderBytes,
  memoryBytes,
  processes,
  pid,
  detached,
  exitCode,
};
process.stdout.write(JSON.stringify(said));
