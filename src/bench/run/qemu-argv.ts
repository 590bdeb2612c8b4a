/** QEMU's command line as libvirt writes it, and as it is without libvirt. */

/** Options by which libvirt controls QEMU. They do not describe the machine. */
const CONTROL_OPTIONS = new Set(['-name', '-mon', '-S', '-no-shutdown']);
/** How libvirt's names begin of the character devices that lead to a server of files, without which there is no device. */
const TO_SERVER = 'chr-vu-';
const WITHOUT_VALUE = new Set(['-S', '-no-shutdown', '-nodefaults', '-no-user-config']);

/**
 * Splits a command line that is quoted for a shell, as `virsh domxml-to-native` prints it. Drops the variables in
 * front.
 */
export function splitCommandLine(line: string): string[] {
  const words = [...line.matchAll(/(?:'[^']*'|\\.|[^\s'\\])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|\\(.)/g, (_all, quoted: string | undefined, escaped: string | undefined) => {
      return quoted ?? escaped ?? '';
    }),
  );
  const first = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  return first < 0 ? [] : words.slice(first);
}

/**
 * The same machine without libvirt: it runs at once, its output is discarded, and QEMU ends when the machine powers
 * off.
 * @param initrd replaces the initrd of the command line
 * @throws {Error} when the command line is not one that boots an initrd
 */
export function bareMachine(argv: readonly string[], initrd: string): [string, ...string[]] {
  const [program, ...words] = argv;
  if (program === undefined) throw new Error('the command line of QEMU is empty');
  const bare = optionsOf(words).flatMap(([option, value]) => change(option, value, initrd) ?? []);
  if (!bare.includes(initrd)) throw new Error('the command line of QEMU has no -initrd');
  return [program, ...bare];
}

/** Pairs each option with its value; `words` begin after the program's name. */
export function optionsOf(words: readonly string[]): (readonly [string, string | undefined])[] {
  const options: [string, string | undefined][] = [];
  for (let at = 0; at < words.length; at += 1) {
    const option = words[at] ?? '';
    options.push([option, WITHOUT_VALUE.has(option) ? undefined : words[++at]]);
  }
  return options;
}

/** The words of such options. */
export function joinOptions(options: readonly (readonly [string, string | undefined])[]): string[] {
  return options.flatMap(([option, value]) => (value === undefined ? [option] : [option, value]));
}

/** One option of the bare machine; undefined if it is left out. */
function change(option: string, value: string | undefined, initrd: string): string[] | undefined {
  if (CONTROL_OPTIONS.has(option)) return undefined;
  if (value === undefined) return [option];
  if (option === '-object' && value.includes('"secret"')) return undefined;
  // The directory of a sandbox, which there is none of.
  if (option === '-fsdev') return [option, value.replace(/path=[^,]+\/root(?=,|$)/, 'path=/')];
  if (option === '-initrd') return [option, initrd];
  if (option !== '-chardev') return [option, value];
  const id = /,id=([^,]+)/.exec(value)?.[1];
  if (id === 'charmonitor') return undefined;
  return [option, id?.startsWith(TO_SERVER) ? value : `null,id=${id}`];
}
