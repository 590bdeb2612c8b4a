/** virt-sandbox-bench nested: KVM in a machine that QEMU emulates, the exits to it, and what cannot be measured there. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readHistory } from '../../src/bench/result/history.js';
import { readResult } from '../../src/bench/result/result.js';
import type { Span } from '../../src/bench/timeline/span.js';
import { bench } from '../helpers/bench.js';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, qemuOf } from '../helpers/leftovers.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** The directories through which results come out of the machine of that process. */
const exchangesOf = (pid: number) =>
  readdirSync('/var/tmp').filter((name) => name.startsWith(`virt-sandbox-nested-${pid}-`));

describe('virt-sandbox-bench nested', { skip: embedded.skip }, () => {
  it('measures a boot under KVM, with the exits of each stage, and brings the result out', async (t) => {
    const directory = scratchDirectory(t);
    const file = (name: string) => join(directory, name);
    let pid = 0;
    let seen = 0;
    const args = ['nested', '--', 'run', '-n', '1', '--warm-up', '0', '--no-floor', '--options', '--boot cold'];
    const files = ['-o', file('r.json'), '--history', file('h.jsonl'), '--svg', file('r.svg')];
    const onProgress = (child: ChildProcess) => {
      pid = child.pid ?? 0;
      seen ||= exchangesOf(pid).length;
    };
    const { code, out, stderr } = await bench([...args, ...files], { onProgress });
    assert.equal(code, 0, stderr);
    const { host, command, variants } = readResult(file('r.json'));
    assert.deepEqual([host.acceleration, host.nested], ['kvm', true]);
    assert.deepEqual(command.slice(0, 4), ['virt-sandbox-bench', 'nested', '--', 'run']);
    assert.match(out, /^Measured with KVM inside a machine that QEMU emulates/m);

    const [variant] = variants;
    const timeline = variant?.timeline;
    assert.equal(timeline?.start, 'cold');
    // Even the smallest kernel looks at its devices.
    assert.ok((variant?.exits?.['io_exits'] ?? 0) > 500, JSON.stringify(variant));
    const exits = (one: Span) => one.exits?.['exits'] ?? 0;
    const sum = timeline.stages.reduce((total, one) => total + exits(one), 0);
    const all = timeline.exits?.['exits'] ?? 0;
    assert.ok(all > 500 && Math.abs(sum - all) <= timeline.stages.length, `${sum} of ${all}`);
    const ofHost = timeline.stages.slice(
      0,
      timeline.stages.findIndex(({ name }) => name === 'domain'),
    );
    assert.deepEqual(
      ofHost.filter((one) => exits(one) > 0),
      [],
    );
    assert.match(out, /^ +took +exits$/m);

    assert.deepEqual(
      readHistory(file('h.jsonl')).entries.map(({ nested, acceleration }) => [nested, acceleration]),
      [[true, 'kvm']],
    );
    assert.deepEqual(readdirSync(directory).sort(), ['h.jsonl', 'r.json', 'r.svg']);
    assert.deepEqual([seen, exchangesOf(pid)], [1, []]);
  });

  it('ends at once, and its machine with it, when it is interrupted a second time', async () => {
    let pid = 0;
    let name = '';
    let poll: NodeJS.Timeout | undefined;
    let isTold = false;
    const onProgress = (child: ChildProcess, text: string) => {
      if (poll === undefined && text.includes('nested: starting a machine')) {
        pid = child.pid ?? 0;
        poll = setInterval(() => {
          [name = ''] = exchangesOf(pid);
          if (name === '' || qemuOf(name) === undefined) return;
          clearInterval(poll);
          child.kill('SIGINT');
        }, 50);
      }
      if (isTold || !text.includes('interrupted: reporting')) return;
      isTold = child.kill('SIGINT');
    };
    const { code, out, stderr } = await bench(['nested', '--', 'run', '-n', '9'], { onProgress });
    clearInterval(poll);
    assert.deepEqual([code, out], [130, ''], stderr);
    assert.ok(isTold, stderr);
    assert.match(name, /^virt-sandbox-nested-/);
    assert.deepEqual(exchangesOf(pid), []);
    await assertNothingLeft(name);
  });

  it('refuses what it cannot measure before it starts a machine', async (t) => {
    const output = join(scratchDirectory(t), 'r.json');
    for (const [args, why] of [
      [['nested'], /nested takes -- and a command that measures: run, compare/],
      [['nested', '--', 'history'], /nested takes -- and a command that measures/],
      [['nested', '--', 'ablate', '--deterministic'], /only QEMU’s emulator counts instructions/],
      [['nested', '--', 'run', '--options', '-c lxc:///'], /a container has none/],
      [['nested', '--', 'compare', 'a.json', 'b.json'], /it has no use for files/],
      [
        ['nested', '--memory', '900000G', '--', 'run', '-o', output],
        /nested needs 921600000 MiB of memory and the host/,
      ],
    ] as const) {
      const { code, out, stderr } = await bench(args);
      assert.deepEqual([code, out], [1, ''], stderr);
      assert.match(stderr, why);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
    }
    assert.equal(existsSync(output), false);
  });
});
