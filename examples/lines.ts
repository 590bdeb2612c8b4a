// Reads a process line by line while it writes to stdin what was answered.
import { Sandbox } from 'virt-sandbox';

await using sandbox = await Sandbox.create();
const calculator = await sandbox.spawn('while read line; do echo "$line = $(($line))"; done');
const sums = ['1 + 1', '6 * 7'];
calculator.stdin.write(`${sums.shift()}\n`);
for await (const line of calculator) {
  console.log(line);
  const next = sums.shift();
  if (next === undefined) calculator.stdin.end();
  else calculator.stdin.write(`${next}\n`);
}
const { exitCode } = await calculator.exited;
console.log('exit status:', exitCode);
