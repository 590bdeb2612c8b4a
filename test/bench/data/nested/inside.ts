/** What runs inside the emulated machine: inside.js PROGRAM RUNS SCALE MINUTES FILE, which is written whenever a system has ended. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { findVirtme, imageFacts } from '../../../../src/bench/run/commands.js';
import { hostFacts, programVersion } from '../../../../src/bench/run/host.js';
import { optionsOfSetting } from '../../../../src/bench/run/setting.js';
import type { Measuring } from '../../context.js';
import { type DataResult, measureData, ROW_SECONDS } from '../measure.js';
import { formatResult } from './result.js';

/** On the machine's disk: directories such as /var/tmp are in its memory. */
const SCRATCH = '/srv/virt-sandbox-bench';

const [program = '', runs, scale, minutes, file = ''] = process.argv.slice(2);
mkdirSync(SCRATCH);
// A kernel that has 9p has virtiofs as well, so every system can boot it.
const image = imageFacts(program, [...optionsOfSetting(), '--root-fs', '9p']);
const virtme = findVirtme(image.kernelVersion);
const context: Measuring = {
  ...{ program, image, virtme, scratch: SCRATCH, runs: Number(runs), scale: Number(scale) },
  progress: (message) => process.stderr.write(`bench: ${message}\n`),
};
const facts = { host: hostFacts(image), virtme: 'missing' in virtme ? 'none' : programVersion(virtme.program) };
/** Whole at any time: a machine that has hung is killed. */
const write = (data: DataResult) => {
  writeFileSync(`${file}.new`, formatResult({ ...facts, data }), { flush: true });
  renameSync(`${file}.new`, file);
};
write(await measureData(context, ROW_SECONDS.nested, Number(minutes), undefined, write));
