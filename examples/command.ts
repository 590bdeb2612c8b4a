// Runs one command in a sandbox of its own, with input, and says what took how long.
import { run } from 'virt-sandbox';

const { stdout, exitCode, ...took } = await run('tr a-z A-Z; exit 3', { input: 'hello\n', memory: '256M' });
console.log(`${stdout.trim()} (${exitCode})`);
console.error(`start: ${Math.round(took.startMilliseconds)} ms, run: ${Math.round(took.milliseconds)} ms`);
