// Takes option values as they are on the command line.
import { configFromOptions, Sandbox } from 'virt-sandbox';

const config = await configFromOptions({
  switchto: 'nobody',
  env: ['GREETING=hi'],
  memory: '600M',
  command: ['sh', '-c', 'echo $GREETING from $(id -un)'],
});
const sandbox = await Sandbox.start(config);
sandbox.stdout.pipe(process.stdout);
await sandbox.exited;
