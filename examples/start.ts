// Starts a sandbox for one program, uses its streams, and stops it when its time is over.
import { Sandbox, type SandboxOptions } from 'virt-sandbox';

const options: SandboxOptions = {
  command: ['sh', '-c', 'cat; sleep 1000'],
  cwd: '/',
  mounts: [{ type: 'ram', target: '/srv', usage: '1M' }],
};
const sandbox = await Sandbox.start(options, { timeLimit: '5s', onWarning: (sentence) => console.error(sentence) });
sandbox.stdin.end('from the host\n');
sandbox.stdout.pipe(process.stdout);
const { signal, timedOut } = await sandbox.exited;
console.log(signal, timedOut);
