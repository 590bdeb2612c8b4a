/** virt-sandbox-service reload: units inside a service reload their configuration. */
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { withoutUnits } from '../../service/run/errors.js';
import type { ServiceArguments } from './arguments.js';

export async function reload({ words }: ServiceArguments): Promise<number> {
  const [name = ''] = words;
  await loadService(serviceRoots(), name);
  throw withoutUnits(name, `start it anew: virt-sandbox-service restart ${name}`);
}
