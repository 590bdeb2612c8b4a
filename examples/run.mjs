// Runs one program in a sandbox: gives it input, collects its output, and tells a failed sandbox from a failed program.
import { text } from 'node:stream/consumers';
import { Sandbox, SandboxError } from 'virt-sandbox';

try {
  const sandbox = await Sandbox.start({ command: ['sh', '-c', 'tr a-z A-Z; exit 3'], cwd: '/' });
  sandbox.stdin.end('hello\n');
  sandbox.stderr.pipe(process.stderr);
  const [output, { exitCode }] = await Promise.all([text(sandbox.stdout), sandbox.exited]);
  console.log(`output: ${output.trim()}; exit status: ${exitCode}`);
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.error(error.line);
  process.exitCode = error.exitCode;
}
