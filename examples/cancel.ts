// Cancels a command with an AbortSignal, and another by killing it.
import { Sandbox } from 'virt-sandbox';

await using sandbox = await Sandbox.create();
const controller = new AbortController();
const sleeping = sandbox.run('sleep 1000', { signal: controller.signal });
controller.abort(new Error('not needed any more'));
await sleeping.catch((error: Error) => console.log(error.message));

const waiting = await sandbox.spawn(['sleep', '1000']);
await waiting.kill('SIGTERM');
console.log((await waiting.exited).signal);
