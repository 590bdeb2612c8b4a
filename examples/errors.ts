// Tells what failed: the command, the option, or the sandbox.
import { run, SandboxError } from 'virt-sandbox';

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return `${error.stage}: ${error.code} (${error.exitCode})`;
  }
}

console.log(await codeOf(run('exit 3')));
console.log(await codeOf(run('exit 3', { reject: true })));
console.log(await codeOf(run(['no-such-program'])));
console.log(await codeOf(run('true', { memory: '1M' })));
