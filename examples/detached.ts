// Leaves a sandbox running, finds it again as another program would, and stops it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connectSandbox, runningSandboxes } from 'virt-sandbox';

const words = ['--detach', '-m', 'ram:/srv=10M', '--', 'sh', '-c', 'echo ready >/srv/state; exec sleep 1000'];
const { stdout } = await promisify(execFile)('virt-sandbox', words);
const name = stdout.trim();

const found = (await runningSandboxes()).find((sandbox) => sandbox.name === name);
console.log('detached:', found?.record?.detached);

await using sandbox = await connectSandbox(name);
const { stdout: state } = await sandbox.run('until [ -s state ]; do sleep 0.1; done; cat state', { cwd: '/srv' });
console.log('state:', state.trim());
const ending = sandbox.wait();
await sandbox.stop({ timeout: 5000 });
console.log('exit status:', (await ending).exitCode);
