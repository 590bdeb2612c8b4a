/** The manual pages and the help: complete for every option, and accepted by man and mandoc without a warning. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { programs } from '../../../man/all-programs.js';
import { marked, plain } from '../../../man/pages/roff.js';
import { listed } from '../../../man/program-description.js';
import { ctlCommands } from '../../../src/cli/ctl/options.js';
import { imageCommands } from '../../../src/cli/image/options.js';
import { serviceCommands } from '../../../src/cli/service/options.js';
import { REPOSITORY } from '../../helpers/run.js';

const MAN = join(REPOSITORY, 'dist/share/man');
const pages = ['man1', 'man5'].flatMap((section) =>
  readdirSync(join(MAN, section)).map((file) => join(MAN, section, file)),
);

/** A page as a person reads it, on one line. */
function read(path: string): string {
  const text = execFileSync('man', ['-l', '-P', 'cat', path], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '1000', LC_ALL: 'C.UTF-8', MAN_KEEP_FORMATTING: '' },
  });
  return text.replace(/\s+/g, ' ');
}

const needs = (program: string) => (existsSync(`/usr/bin/${program}`) ? false : `${program} is not installed`);

describe('manual pages', () => {
  it('exist for every program and for sandbox.cfg', () => {
    const expected = [...programs.map(({ name }) => `${name}.1`), 'sandbox.cfg.5'];
    assert.deepEqual(pages.map((path) => path.split('/').at(-1)).sort(), expected.sort());
  });

  for (const path of pages) {
    const name = path.split('/').at(-1);
    it(`${name} is shown without a warning`, { skip: needs('man') }, () => {
      const { status, stderr } = spawnSync('man', ['--warnings', '-l', '-P', 'cat', path], { encoding: 'utf8' });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });

    it(`${name} passes mandoc's checks`, { skip: needs('mandoc') }, () => {
      const { stdout } = spawnSync('mandoc', ['-T', 'lint', path], { encoding: 'utf8' });
      // A long term has no space to break it at.
      assert.deepEqual(
        stdout.split('\n').filter((line) => line !== '' && !line.includes('longer than 80 bytes')),
        [],
      );
    });
  }

  for (const program of programs) {
    it(`${program.name}.1 has every option with its value and its text`, { skip: needs('man') }, () => {
      const text = read(join(MAN, 'man1', `${program.name}.1`));
      const tables = [program.options, ...Object.values(program.commands ?? {}).map(({ options }) => options)];
      for (const option of tables.flatMap((table) => listed(table, program.details))) {
        const { words, takesValue, mayHaveValue, detail, describe: line } = option;
        const value = takesValue ? ` ${detail.value}` : mayHaveValue ? `[=${detail.value}]` : '';
        const term = words.map((word) => `${word}${value}`).join(', ');
        assert.ok(text.includes(` ${term} `), `${term} is not in the page`);
        const [first] = detail.text ?? [line];
        const opening = (typeof first === 'string' ? first : '').replaceAll(/[`*]/g, '').slice(1, 40);
        assert.ok(text.includes(opening.trimEnd()), `“${opening}” is not in the page`);
      }
      for (const { title } of program.sections) assert.ok(text.includes(title.toUpperCase()));
      for (const { command } of Object.values(program.commands ?? {})) {
        assert.ok(text.includes(command.replaceAll(/[<>]/g, '').replaceAll('…', '...')), command);
      }
    });

    it(`${program.name}.1 has only options that exist`, () => {
      const tables = [program.options, ...Object.values(program.commands ?? {}).map(({ options }) => options)];
      const known = new Set(tables.flatMap((table) => Object.keys(table)));
      assert.deepEqual(
        Object.keys(program.details).filter((name) => !known.has(name)),
        [],
      );
    });
  }
});

describe('roff', () => {
  it('escapes text', () => {
    for (const [text, roff] of [
      ['a-b', 'a\\-b'],
      ['.SH not a request', '\\&.SH not a request'],
      ["it's \\n", 'it\\(aqs \\en'],
      ['~/x^2`', '\\(ti/x\\(ha2\\(ga'],
    ] as const) {
      assert.equal(plain(text), roff);
    }
    assert.equal(marked('use `-v` with *FILE*, 2 * 3'), 'use \\fB\\-v\\fP with \\fIFILE\\fP, 2 * 3');
  });

  it('wraps lines so that none begins with a request', () => {
    const roff = marked(`${'x '.repeat(39)}.TH and ${'word '.repeat(30)}`);
    for (const line of roff.split('\n')) {
      assert.ok(line.length <= 82, line);
      assert.doesNotMatch(line, /^\./);
    }
  });
});

describe('help', () => {
  it('has every option of virt-sandbox, and fits the width of a page', () => {
    const text = readFileSync(join(REPOSITORY, 'dist/help/virt-sandbox.txt'), 'utf8');
    const [virtSandbox] = programs;
    assert.ok(virtSandbox);
    for (const { words } of listed(virtSandbox.options, virtSandbox.details)) {
      assert.match(text, new RegExp(`^ +${words.join(', ')} `, 'm'));
    }
    assert.ok(Math.max(...text.split('\n').map((line) => line.length)) <= 110);
  });

  for (const [program, commands] of [
    ['virt-sandbox-ctl', ctlCommands],
    ['virt-sandbox-image', imageCommands],
    ['virt-sandbox-service', serviceCommands],
  ] as const)
    it(`has every command of ${program}, and of each command every option`, () => {
      const directory = join(REPOSITORY, 'dist/help');
      const own = readFileSync(join(directory, `${program}.txt`), 'utf8');
      for (const [name, { options }] of Object.entries(commands)) {
        assert.match(own, new RegExp(`^ +${program} ${name} `, 'm'));
        const text = readFileSync(join(directory, `${program}-${name.replace(' ', '-')}.txt`), 'utf8');
        assert.match(text, new RegExp(`^Usage: ${program} ${name} \\[OPTIONS\\]`));
        for (const { words } of listed(options, {})) assert.match(text, new RegExp(`^ +${words.join(', ')} `, 'm'));
        assert.ok(Math.max(...`${own}${text}`.split('\n').map((line) => line.length)) <= 110);
      }
    });
});
