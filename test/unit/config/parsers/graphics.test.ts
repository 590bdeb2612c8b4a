/** --graphics: what its words mean, and what a file and a command line make of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { DEFAULT_GRAPHICS, parseGraphics } from '../../../../src/config/parsers/graphics.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';

describe('--graphics', () => {
  for (const [text, expected] of [
    ['vnc', {}],
    ['spice', { viewers: 'spice' }],
    ['none', { viewers: 'none' }],
    ['xvnc,size=640x480', { viewers: 'xvnc', width: 640, height: 480 }],
    ['size=800x600', { width: 800, height: 600 }],
    ['vnc,listen=127.0.0.1:5901', { listen: { address: '127.0.0.1', port: 5901 } }],
    ['vnc,listen=[::1]:0', { listen: { address: '::1', port: 0 } }],
    ['none,size=4095x320,compositor=xorg', { viewers: 'none', width: 4095, height: 320, compositor: 'xorg' }],
    ['compositor=none', { compositor: 'none' }],
    ['none,resize=off', { viewers: 'none', resize: 'off' }],
    ['resize=on', {}],
  ] as const)
    it(`takes ${text}`, () => {
      const graphics = { ...DEFAULT_GRAPHICS, ...expected };
      assert.deepEqual(parseGraphics(text, '--graphics'), graphics);
    });

  for (const [text, code, pattern] of [
    ['', 'graphics-unknown', /cannot be ""/],
    ['rdp', 'graphics-unknown', /cannot be "rdp".*vnc, spice, xvnc, none/],
    ['vnc,none', 'graphics-unknown', /cannot be "none"/],
    ['viewers=vnc', 'graphics-unknown', /"viewers=vnc"/],
    ['vnc,resize=yes', 'graphics-unknown', /"resize=yes".*resize=on\|off/],
    ['vnc,resize=on,resize=off', 'graphics-repeated', /"resize" twice/],
    ['vnc,compositor=sway', 'graphics-unknown', /"compositor=sway".*auto\|cage\|xorg\|weston\|none/],
    ...['0.0.0.0:5900', '[::]:5900', 'localhost:5900', '5900', '::1:5900', '127.0.0.1:', '127.0.0.1:65536', ''].map(
      (listen) =>
        [`vnc,listen=${listen}`, 'graphics-listen-invalid', /not encrypted.*127\.0\.0\.1:PORT.*ssh -L PORT/] as const,
    ),
    ['vnc,monitors=2', 'graphics-one-screen', /"monitors=2": a sandbox has one screen; .*larger size.*two sandboxes/],
    ['none,size=800x600,heads=2', 'graphics-one-screen', /"heads=2": a sandbox has one screen/],
    ['vnc,size=800x600,size=800x600', 'graphics-repeated', /"size" twice/],
    ...['800', '800x', '800x600x1', '319x800', '800x319', '4096x800', '1e3x800', '-800x600', '', '8 00x600'].map(
      (size) => [`vnc,size=${size}`, 'graphics-size-invalid', /from 320 to 4095/] as const,
    ),
  ] as const)
    it(`refuses ${JSON.stringify(text)}`, () => {
      throwsWith(() => parseGraphics(text, '--graphics'), code, pattern);
    });
});

describe('a sandbox with a screen', () => {
  const options = { command: ['true'], graphics: 'none,size=1024x768,compositor=xorg,resize=off' };

  it('is the same from a command line and from a file', async () => {
    const config = await configFromOptions(options);
    const text = await formatSandboxCfg(config);
    assert.match(text, /^\[graphics\]\nviewers=none\nsize=1024x768\ncompositor=xorg\nresize=off\n/m);
    assert.deepEqual((await parseSandboxCfg(text)).graphics, config.graphics);
    const changed = await configFromOptions({ graphics: true }, undefined, config);
    assert.deepEqual(changed.graphics, DEFAULT_GRAPHICS);
    assert.deepEqual((await configFromOptions({}, undefined, config)).graphics, config.graphics);
  });

  it('is the same in a file where it listens, and listens only for viewers of VNC', async () => {
    const wanted = { command: ['true'], graphics: 'vnc,listen=[::1]:5901' };
    const config = await configFromOptions(wanted);
    const text = await formatSandboxCfg(config);
    assert.match(text, /^listen=\[::1\]:5901\n/m);
    assert.deepEqual((await parseSandboxCfg(text)).graphics, config.graphics);
    await rejectsWith(
      configFromOptions({ ...wanted, graphics: 'none,listen=[::1]:5901' }),
      'graphics-listen-needs-vnc',
      /listen at \[::1\]:5901 .*"none"/,
    );
  });

  it('is drawn by a server inside, which has no compositor and no port', async () => {
    const config = await configFromOptions({ command: ['true'], graphics: 'xvnc' });
    const text = await formatSandboxCfg(config);
    assert.match(text, /^viewers=xvnc\n/m);
    assert.deepEqual((await parseSandboxCfg(text)).graphics, config.graphics);
    for (const [more, code, pattern] of [
      ['compositor=xorg', 'graphics-xvnc-compositor', /both xvnc, .* and the compositor xorg/],
      ['listen=127.0.0.1:0', 'graphics-listen-needs-vnc', /"xvnc"/],
    ] as const)
      await rejectsWith(configFromOptions({ command: ['true'], graphics: `xvnc,${more}` }), code, pattern);
    await rejectsWith(parseSandboxCfg(`${text}\n[graphics]\ncompositor=cage\n`), 'graphics-xvnc-compositor');
  });

  it('has defaults for what the file does not say', async () => {
    const text = await formatSandboxCfg(await configFromOptions({ command: ['true'] }));
    assert.doesNotMatch(text, /graphics/);
    assert.deepEqual((await parseSandboxCfg(`${text}\n[graphics]\n`)).graphics, DEFAULT_GRAPHICS);
    await rejectsWith(parseSandboxCfg(`${text}\n[graphics]\nviewers=rdp\n`), 'graphics-unknown', /\[graphics\] of/);
  });
});
