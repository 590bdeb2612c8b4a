/** virt-sandbox-service logs: what a service has written. */
import { readServiceLog } from '../../service/run/log.js';
import { LogPrinter, tailLines } from '../ctl/logs.js';
import { sinceTime } from '../ctl/times.js';
import { isSet, type ServiceArguments, textOf, usageError } from './arguments.js';
import { nameOf, pathsOfService } from './each-service.js';

/** @returns the exit status */
export async function logs(args: ServiceArguments): Promise<number> {
  const fail = (message: string) => usageError(message, 'logs');
  const given = textOf(args, 'since');
  const since = given === undefined ? undefined : sinceTime(given, Date.now(), fail);
  const tail = tailLines(textOf(args, 'tail'), fail);
  const name = await nameOf(args);
  const paths = pathsOfService(name);
  const follow = isSet(args, 'follow');
  if (isSet(args, 'journal')) return (await import('./journal.js')).journal(name, { since, tail, follow });
  const records = readServiceLog(name, paths, { since, tail, follow });
  // Whoever has broken into the service writes to the terminal of who reads this.
  await new LogPrinter({ timestamps: isSet(args, 'timestamps'), isForeign: true }).print(records);
  return 0;
}
