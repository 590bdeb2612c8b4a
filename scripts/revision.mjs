// Which revision of these sources is built or measured, as `1a2b3c4` or `1a2b3c4-dirty`; nothing where there is no
// repository.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export function revision() {
  if (!existsSync('.git')) return '';
  const described = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' });
  return described.status === 0 ? described.stdout.trim() : '';
}
