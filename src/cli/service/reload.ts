/** virt-sandbox-service reload: units inside a service read their settings again. */
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { unnamedUnits, withoutUnits } from '../../service/run/errors.js';
import { unitsOf } from '../../service/run/health.js';
import { connectService } from '../../service/run/talk.js';
import { reloadUnits } from '../../service/run/units-active.js';
import { unitName } from '../../service/units/find.js';
import { type ServiceArguments, textsOf } from './arguments.js';
import { nameOf } from './each-service.js';

export async function reload(args: ServiceArguments): Promise<number> {
  const name = await nameOf(args);
  const { config } = await loadService(serviceRoots(), name);
  if (config.service?.type !== 'systemd')
    throw withoutUnits(name, `start it anew: virt-sandbox-service restart ${name}`);
  const given = textsOf(args, 'unitfile').map((word) => unitName(word, name));
  const units = given.length > 0 ? given : unitsOf(config);
  if (units.length === 0) throw unnamedUnits(name);
  await using sandbox = await connectService(name);
  await reloadUnits(sandbox, units);
  return 0;
}
