// Gives a process a terminal, types into it, and resizes it.
import { text } from 'node:stream/consumers';
import { Sandbox } from 'virt-sandbox';

await using sandbox = await Sandbox.create();
const shell = await sandbox.spawn(['sh', '-c', 'read line; echo "$line on $TERM"; stty size'], {
  tty: { rows: 40, columns: 120, type: 'vt100' },
});
await shell.resize(50, 100);
shell.stdin.write('typed\n');
console.log(await text(shell.stdout));
