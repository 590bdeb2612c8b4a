/** Lists of this host that completions offer: a line of programs prints each, the same in every shell. */
import { UNIT_DIRECTORIES } from '../../init/common/systemd-scripts.js';
import { UNIT_TYPES } from '../../src/config/unit-name.js';

/** Writes a word so that a shell reads it unchanged. */
export type Quote = (word: string) => string;

/** For bash and zsh. */
export const posixQuote: Quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** The sizes and names of files. With links followed, one that masks a unit has no size, as an empty file. */
const SIZE_AND_NAME = '%s %f\\n';

/** Each unit counts where it is first. A template gets no type that `virt-sandbox-service` adds by itself. */
const FIRST_OF_EACH = '!seen[$2]++ && $1 > 0 { sub(/@\\.service$/, "@", $2); print $2 }';

/** The units that systemd would find, without those that are masked. */
export function unitsLine(quote: Quote, directories: readonly string[] = UNIT_DIRECTORIES): string {
  const ofType = UNIT_TYPES.flatMap((type, at) => [...(at === 0 ? [] : ['-o']), '-name', quote(`*.${type}`)]);
  const isNone = ['-type l', '-type d', `-name ${quote('[.@]*')}`, `-name ${quote('*[!A-Za-z0-9:_.@\\\\-]*')}`];
  const isUnit = [...isNone.map((test) => `! ${test}`), quote('('), ...ofType, quote(')')];
  const found = ['command find -L', ...directories, '-maxdepth 1', ...isUnit, '-printf', quote(SIZE_AND_NAME)];
  return `${found.join(' ')} 2>/dev/null | command awk ${quote(FIRST_OF_EACH)}`;
}

/** The packages that are installed, by dpkg or else by rpm. */
export function packagesLine(quote: Quote): string {
  const format = quote('$' + '{db:Status-Status} $' + '{binary:Package}\\n');
  const installed = quote('s/^installed //p');
  const dpkg = `command dpkg-query -W -f ${format} 2>/dev/null | command sed -n ${installed}`;
  const rpm = `command rpm -qa --nodigest --nosignature --qf ${quote('%{NAME}\\n')} 2>/dev/null`;
  return `test -e /var/lib/dpkg/status && ${dpkg} || ${rpm}`;
}
