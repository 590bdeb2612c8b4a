/** Has libvirt start the user's daemon, in the control group of this process. */
import { connectDaemon } from '../../libvirt/daemon.js';

export async function startSessionDaemon(): Promise<number> {
  const connection = await connectDaemon('session');
  await connection.close();
  return 0;
}
