/**
 * Checks the content of a snapshot's record. Its seal tells a damaged record, but anybody can seal one, so a record in a
 * directory of somebody else may say anything.
 */
import { MOST_SLOTS, SLOT_KINDS } from '../../config/parsers/slots.js';
import { isRecord } from '../../util/records.js';
import { isImageId } from '../manifest.js';

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNothing = (value: unknown): boolean => value === undefined || isText(value);
const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isListOf = (value: unknown, is: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);

/**
 * True if every field has its type. Neither the format nor what the init said is looked at.
 * @param names of the files that it must have, and no others
 */
export function hasRecordFields(value: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  const { image, sets, memory, vcpus, acceleration, slots, machine, host, owner, files, ready } = value;
  return (
    isText(image) &&
    isImageId(image) &&
    isListOf(sets, isText) &&
    isSize(memory) &&
    isSize(vcpus) &&
    (acceleration === 'kvm' || acceleration === 'tcg') &&
    isRecord(slots) &&
    SLOT_KINDS.every((kind) => isSize(slots[kind]) && (slots[kind] as number) <= MOST_SLOTS) &&
    (value['root'] === undefined || value['root'] === 'virtiofs') &&
    (value['screen'] === undefined || isScreen(value['screen'])) &&
    (value['prepared'] === undefined || isPrepared(value['prepared'])) &&
    isText(machine) &&
    isTextOrNothing(value['kernelArguments']) &&
    isTextOrNothing(value['profile']) &&
    isRecord(host) &&
    (value['needs'] === undefined || (isRecord(value['needs']) && Object.values(value['needs']).every(isNeed))) &&
    Object.values(host).every(isText) &&
    isSize(owner) &&
    isListOf(files, isFile) &&
    JSON.stringify((files as { name: string }[]).map(({ name }) => name)) === JSON.stringify(names) &&
    isRecord(ready)
  );
}

function isScreen(value: unknown): boolean {
  return isRecord(value) && isSize(value['width']) && isSize(value['height']);
}

function isPrepared(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['name', 'root', 'command'].every((key) => isText(value[key])) &&
    ['process', 'notify'].every((key) => value[key] === undefined || isSize(value[key]))
  );
}

function isNeed(value: unknown): boolean {
  return isRecord(value) && isText(value['text']) && isTextOrNothing(value['sha256']);
}

function isFile(value: unknown): boolean {
  return isRecord(value) && ['name', 'identity', 'digest'].every((key) => isText(value[key]));
}

/** True if what the init said when it was ready has its types: see sandbox/snapshot/ready.ts. */
export function isReadyRecord(value: Readonly<Record<string, unknown>>): boolean {
  const isTime = (time: unknown) => isText(time) && /^\d{1,20}$/.test(time);
  const isModule = (one: unknown) =>
    isRecord(one) && isText(one['name']) && isSize(one['errno']) && isSize(one['microseconds']);
  return (
    isSize(value['protocol']) &&
    isText(value['kernelRelease']) &&
    isTime(value['initStarted']) &&
    isTime(value['initReady']) &&
    isListOf(value['modules'], isModule)
  );
}
