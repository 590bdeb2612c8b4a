/** QEMU's command line as libvirt writes it, and the same machine without libvirt. */

/** Options that say how libvirt steers QEMU, and not what the machine is. */
const STEERING = new Set(['-name', '-mon', '-S', '-no-shutdown']);
const WITHOUT_VALUE = new Set(['-S', '-no-shutdown', '-nodefaults', '-no-user-config']);

/**
 * Splits a command line that was quoted for a shell, as `virsh domxml-to-native` prints it, and leaves the variables in front of it out.
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
 * The same machine started by hand: it runs at once, nobody steers it, what it says goes nowhere, and it ends when it is powered off.
 * @param initrd takes the place of the one that it boots
 * @throws {Error} when the command line is not one that boots an initrd
 */
export function bareMachine(argv: readonly string[], initrd: string): [string, ...string[]] {
  const [program, ...words] = argv;
  if (program === undefined) throw new Error('the command line of QEMU is empty');
  const bare = optionsOf(words).flatMap(([option, value]) => change(option, value, initrd) ?? []);
  if (!bare.includes(initrd)) throw new Error('the command line of QEMU has no -initrd');
  return [program, ...bare];
}

/** The options behind the program's name, each with its value where it has one. */
export function optionsOf(words: readonly string[]): (readonly [string, string | undefined])[] {
  const options: [string, string | undefined][] = [];
  for (let at = 0; at < words.length; at += 1) {
    const option = words[at] ?? '';
    options.push([option, WITHOUT_VALUE.has(option) ? undefined : words[++at]]);
  }
  return options;
}

/** @returns undefined for what is left out */
function change(option: string, value: string | undefined, initrd: string): string[] | undefined {
  if (STEERING.has(option)) return undefined;
  if (value === undefined) return [option];
  if (option === '-object' && value.includes('"secret"')) return undefined;
  if (option === '-initrd') return [option, initrd];
  if (option !== '-chardev') return [option, value];
  const id = /,id=([^,]+)/.exec(value)?.[1];
  return id === 'charmonitor' ? undefined : [option, `null,id=${id}`];
}
