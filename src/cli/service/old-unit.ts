/** Says that systemd has a unit of libvirt-sandbox in the place of this program's. */
import { serviceRoots } from '../../service/paths.js';
import { hiddenUnit, oldUnit } from '../../service/taken-over.js';
import { say } from './say.js';

export function tellOldUnit(name: string): void {
  const path = oldUnit(serviceRoots().scope, name);
  if (path === undefined) return;
  const { message, remedy } = hiddenUnit(name, path);
  say(`warning: ${message}; ${remedy}`);
}
