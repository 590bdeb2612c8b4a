/** What the schema of a start is made of. The texts say what a value should be. */
import * as v from 'valibot';
import { quote } from '../../config/errors.js';
import { type Digest, isDigest } from '../../oci-names/digest.js';

export const text = v.string('a string');
export const flag = v.boolean('true or false');
export const number = v.number('a number');
export const whole = v.pipe(number, v.safeInteger('a whole number'), v.minValue(0, 'a whole number, and not below 0'));
export const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a digest');
export const id = v.pipe(whole, v.maxValue(0xfffffffe, 'a number of a user or group'));

export const list = <S extends v.GenericSchema>(item: S, items: string) => v.array(item, `an array of ${items}`);
export const record = <E extends v.ObjectEntries>(entries: E) => v.strictObject(entries, 'an object');
export const oneOf = <const T extends readonly string[]>(words: T) => v.picklist(words, words.map(quote).join(' or '));
