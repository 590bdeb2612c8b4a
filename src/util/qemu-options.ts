/** Values in QEMU's arguments, such as NAME in `guest=NAME,debug-threads=on`: QEMU's manual, "Option values". */

/** A value as it stands in an argument: with each comma doubled. */
export function optionValue(value: string): string {
  return value.replaceAll(',', ',,');
}

/** The value of the argument's first option, which has to be `option`; undefined if it is another one. */
export function firstOptionIn(argument: string, option: string): string | undefined {
  if (!argument.startsWith(`${option}=`)) return undefined;
  const [value = ''] = /^(?:[^,]|,,)*/.exec(argument.slice(option.length + 1)) ?? [];
  return value.replaceAll(',,', ',');
}
