// Runs a list of commands in sandboxes of their own, two at a time, each with a time limit.
import { text } from 'node:stream/consumers';
import { Sandbox } from 'virt-sandbox';

const AT_ONCE = 2;
const LIMIT_MS = 60_000;
const jobs = ['echo one', 'echo two; exit 2', 'echo three'].map((script) => ({ script, result: '' }));

async function run(script) {
  const sandbox = await Sandbox.start({ command: ['sh', '-c', script] }, { signal: AbortSignal.timeout(LIMIT_MS) });
  sandbox.stderr.resume();
  const [output, { exitCode }] = await Promise.all([text(sandbox.stdout), sandbox.exited]);
  return `${output.trim()} (${exitCode})`;
}

const waiting = [...jobs];
async function work() {
  for (let job = waiting.shift(); job; job = waiting.shift()) job.result = await run(job.script);
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
for (const { result } of jobs) console.log(result);
