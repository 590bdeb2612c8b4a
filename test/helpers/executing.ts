/** executing SOCKET OPTIONS: runs a command over the socket of a holder, as virt-sandbox-ctl exec does. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Execution, type ExecutionOptions } from '../../src/cli/ctl/execution.js';
import { runProgram } from '../../src/cli/program.js';
import { ConnectedSandbox } from '../../src/control/connect.js';
import { Channel } from '../../src/protocol/channel.js';
import { record } from '../unit/control/a-record.js';

runProgram('executing', async () => {
  const [path = '', options = ''] = process.argv.slice(2);
  const socket = connect(path);
  await once(socket, 'connect');
  const { channel } = await Channel.open(socket);
  const sandbox = new ConnectedSandbox(channel, socket, record, { name: record.name, stateDirectory: dirname(path) });
  const execution = new Execution(
    await sandbox.spawn(['sleep', '1000']),
    JSON.parse(options) as ExecutionOptions,
  ).run();
  process.stderr.write('runs\n');
  try {
    return await execution;
  } finally {
    await sandbox.close();
  }
});
