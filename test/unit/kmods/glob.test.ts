/** The patterns of module aliases, as fnmatch(3) has them, and those that a hostile module tree may have. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AliasTable } from '../../../src/kmods/parse.js';

/** What a table with one alias finds. */
function isFound(pattern: string, name: string): boolean {
  const table = new AliasTable();
  table.add(pattern, 'module');
  return table.lookUp(name).length === 1;
}

it('matches stars, question marks and brackets', () => {
  const matching = [
    ['usb:v1234p*', 'usb:v1234p'],
    ['usb:v1234p*d*dc*', 'usb:v1234pABd01dc00'],
    ['a*b*c', 'aXbXbXc'],
    ['a?c', 'abc'],
    ['a[0-9A-F]c', 'aEc'],
    ['a[!0-9]c', 'aXc'],
    ['a[^0-9]c', 'aXc'],
    ['a[b-]c', 'abc'],
    ['*[', 'a['],
    ['a.*', 'a.b'],
  ] as const;
  for (const [pattern, name] of matching) assert.ok(isFound(pattern, name), `${pattern} and ${name}`);
  const others = [
    ['usb:v1234p*d*dc*', 'usb:v1234pABd01'],
    ['a*b*c', 'aXbXbX'],
    ['a?c', 'ac'],
    ['a[0-9A-F]c', 'aGc'],
    ['a[!0-9]c', 'a1c'],
    ['a.*', 'aXb'],
    ['*b', 'bc'],
  ] as const;
  for (const [pattern, name] of others) assert.ok(!isFound(pattern, name), `${pattern} and ${name}`);
});

it('ends, also with a million brackets that are not closed', () => {
  const many = '['.repeat(1_000_000);
  assert.ok(isFound(`${many}-`, `${many}_`));
});

it('finds nothing by a range that ends before it starts', () => {
  assert.ok(!isFound('a[z-a]*', 'ab'));
  assert.ok(isFound('a[!z-a]*', 'ab'));
});

it('comes to an end for a pattern with many stars', () => {
  assert.ok(!isFound(`${'*a'.repeat(20)}b`, 'a'.repeat(200)));
});
