import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../../agent/main.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { createDirectory, createIdentity, createMaterial, createVolume, hours, type Material } from './volume.ts';

async function run(...argv: readonly string[]) {
  let stdout = '';
  let stderr = '';
  const code = await main({
    argv,
    env: {},
    stdout: {
      write: (text) => {
        stdout += text;
      },
    },
    stderr: {
      write: (text) => {
        stderr += text;
      },
    },
    stopping: new AbortController().signal,
  });
  return { code, stdout, stderr, lines: stdout.split('\n') };
}

/** A bundle and the root, as most pods have them. */
function usual({ key, leaf, intermediate, root }: Material): Record<string, string> {
  return { 'tls.pem': key + leaf + intermediate.pem, 'ca.pem': root.pem };
}

describe('inspect', () => {
  test('finds a volume well whose key belongs to the leaf and whose chain leads to an anchor', async (t) => {
    const { code, lines } = await run('inspect', createVolume(t, usual(await createMaterial())));
    assert.equal(code, 0);
    const [user, group] = [process.getuid?.(), process.getgid?.()];
    assert.deepEqual(lines.slice(0, 2), [
      'ok    tls.pem: the ec key belongs to a leaf of the volume',
      `ok    tls.pem: the key may be read by user ${user} and group ${group} (mode 0640)`,
    ]);
    assert.match(lines[2] ?? '', /^ok {4}tls\.pem: the leaf "DNS:leaf\.example" expires at .*Z \(in 22 h 59 min\)$/);
    assert.deepEqual(lines.slice(3), [
      'ok    tls.pem: the chain leads to the trust anchor "CN=root"',
      'ok    1 trust anchors',
      'well',
      '',
    ]);
  });

  test('knows key, chain, leaf, intermediates and anchors by what they are, in any files', async (t) => {
    const { key, leaf, intermediate, root } = await createMaterial();
    const split = {
      'a/k': key,
      'b/leaf': leaf,
      'b/ints': intermediate.pem,
      'c/roots': `text\n${root.pem}`,
      other: 'x',
    };
    for (const files of [split, { ...split, 'b/chain': leaf + intermediate.pem }]) {
      const { code, stdout } = await run('inspect', '--strict', createVolume(t, files));
      assert.equal(code, 0, stdout);
      assert.match(stdout, /leads to the trust anchor/);
      assert.equal(stdout.match(/the leaf "/g)?.length, 1);
    }
  });

  test('fails a key that belongs to no leaf, and a leaf without its key', async (t) => {
    const material = await createMaterial();
    const { code, lines } = await run('inspect', createVolume(t, usual({ ...material, key: createIdentity().key })));
    assert.equal(code, 1);
    assert.equal(lines[0], 'fail  tls.pem: the ec key belongs to no leaf of the volume');
    assert.ok(
      lines.includes('fail  tls.pem: no key in the volume belongs to the leaf'),
      `fail  tls.pem: no key in the volume belongs to the leaf is not in:\n${lines}`,
    );
    assert.equal(lines.at(-2), 'not well');
  });

  test('fails a leaf that has expired or is not valid yet, and warns in its last minutes', async (t) => {
    const look = async (fromMs: number, toMs: number) =>
      run('inspect', createVolume(t, usual(await createMaterial(fromMs, toMs))));
    const expired = await look(-24 * hours, -hours);
    assert.equal(expired.code, 1);
    assert.match(expired.stdout, /^fail {2}tls\.pem: the leaf expired at .*Z \(1 h ago\)$/m);
    const early = await look(hours, 24 * hours);
    assert.equal(early.code, 1);
    assert.match(early.stdout, /^fail {2}tls\.pem: the leaf is valid only from .*Z \(in 59 min 5\d s\)$/m);
    const late = await look(-23 * hours, 200_000);
    assert.equal(late.code, 0);
    assert.match(late.stdout, /^warn {2}tls\.pem: the leaf .* \(in 3 min 1\d s\)$/m);
  });

  test('fails a chain that leads to none of the anchors, whether they are in the volume or given', async (t) => {
    const material = await createMaterial();
    const other = await createRootAuthority('CN=root');
    const wrong = createVolume(t, { ...usual(material), 'ca.pem': other.pem });
    const { code, lines } = await run('inspect', wrong);
    assert.equal(code, 1);
    assert.ok(
      lines.includes('fail  tls.pem: the chain leads to none of the trust anchors'),
      `fail  tls.pem: the chain leads to none of the trust anchors is not in:\n${lines}`,
    );
    const right = join(createDirectory(t, { 'roots.pem': material.root.pem }), 'roots.pem');
    assert.equal((await run('inspect', wrong, '--anchors', right)).code, 0);
    const without = await run('inspect', createVolume(t, { 'tls.pem': material.key + material.leaf }));
    assert.equal(without.code, 0);
    assert.match(without.stdout, /^note {2}tls\.pem: there are no trust anchors to compare the chain with$/m);
  });

  test('fails a chain whose order is wrong, and warns of authorities that have expired', async (t) => {
    const { key, leaf, intermediate, root } = await createMaterial();
    const stranger = await root.issueAuthority('CN=stranger');
    const disordered = await run(
      'inspect',
      createVolume(t, { 'tls.pem': key + leaf + stranger.pem + intermediate.pem }),
    );
    assert.equal(disordered.code, 1);
    assert.match(disordered.stdout, /^fail {2}.*"DNS:leaf\.example" is not issued by .* "CN=stranger"$/m);
    const now = Date.now();
    const old = await root.issueAuthority('CN=old', { notBefore: now - 9 * hours, notAfter: now - hours });
    const identity = createIdentity();
    const issued = await old.issueLeaf({ spki: identity.spki, notBefore: now - hours, notAfter: now + hours });
    const files = { 'tls.pem': identity.key + issued + old.pem, 'ca.pem': root.pem };
    const { code, lines } = await run('inspect', createVolume(t, files));
    assert.equal(code, 0);
    assert.ok(
      lines.includes('warn  tls.pem: "CN=old" in the chain has expired'),
      `warn  tls.pem: "CN=old" in the chain has expired is not in:\n${lines}`,
    );
  });

  test('warns of a key that everybody may read, which fails where warnings count', async (t) => {
    const volume = createVolume(t, usual(await createMaterial()), 0o644);
    const { code, lines } = await run('inspect', volume);
    assert.equal(code, 0);
    assert.ok(
      lines.includes('warn  tls.pem: the key may be read by everybody (mode 0644)'),
      `warn  tls.pem: the key may be read by everybody (mode 0644) is not in:\n${lines}`,
    );
    assert.equal((await run('inspect', volume, '--strict')).code, 1);
  });

  test('tells the same as JSON', async (t) => {
    const { code, stdout } = await run('inspect', createVolume(t, usual(await createMaterial())), '--output=json');
    const { ok, findings } = JSON.parse(stdout);
    assert.deepEqual([code, ok, findings.length], [0, true, 5]);
    assert.deepEqual(findings[4], { level: 'ok', message: '1 trust anchors' });
  });

  test('never prints a key, whatever is wrong with it', async (t) => {
    const { key, leaf } = await createMaterial();
    const body = key.split('\n')[1] ?? '';
    const broken = key.replace('MI', 'AA');
    const files = {
      'tls.pem': broken + leaf,
      'begun.pem': key.replace('-----END', '-----'),
      'cut.pem': leaf.slice(0, 90),
    };
    const { code, stdout, stderr } = await run('inspect', createVolume(t, files));
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^warn {2}tls\.pem: block 1 \(PRIVATE KEY\) cannot be understood$/m);
    assert.match(stdout, /^warn {2}tls\.pem: no key that could be read belongs to the leaf$/m);
    assert.ok(!(stdout + stderr).includes(body.slice(2, 30)), `${body.slice(2, 30)} is in:\n${stdout + stderr}`);
  });

  test('fails a directory that holds nothing of the kind', async (t) => {
    const { code, lines } = await run('inspect', createDirectory(t, { 'notes.txt': 'hello', 'empty.pem': '' }));
    assert.equal(code, 1);
    assert.deepEqual(lines, ['fail  no key, no certificate and no trust anchor was found', 'not well', '']);
  });

  test('follows no link out of the volume, waits for no pipe, and goes down only so far', async (t) => {
    const material = await createMaterial();
    const elsewhere = createDirectory(t, { secret: material.key });
    const directory = createDirectory(t, { ...usual(material), '1/2/3/4/5/6/7/8/9/deep.pem': material.key });
    symlinkSync(join(elsewhere, 'secret'), join(directory, 'link.pem'));
    symlinkSync('missing', join(directory, 'dangling.pem'));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    const { stdout } = await run('inspect', directory);
    assert.match(stdout, /^warn {2}link\.pem: cannot be read: it leads out of the volume$/m);
    assert.match(stdout, /^warn {2}dangling\.pem: cannot be read: ENOENT$/m);
    assert.match(stdout, /^warn {2}pipe: cannot be read: it is no regular file$/m);
    assert.ok(!stdout.includes('deep.pem'), `deep.pem is in:\n${stdout}`);
    writeFileSync(join(directory, 'large.pem'), Buffer.alloc(32 * 1024 * 1024 + 1));
    assert.match((await run('inspect', directory)).stdout, /^warn {2}large\.pem: cannot be read: it is too large$/m);
  });

  test('says what is wrong with the command line or the directory, and ends with 2', async (t) => {
    const directory = createDirectory(t, { 'bad.pem': 'no PEM', 'a.pem': '' });
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['inspect'], /^one directory must be named\n/],
      [['inspect', 'a', 'b'], /^one directory must be named\n/],
      [['inspect', '/nowhere'], /ENOENT/],
      [['inspect', directory, '--output=xml'], /^--output must be text or json\n/],
      [['inspect', directory, '--colour'], /Unknown option '--colour'/],
      [['inspect', directory, '--anchors=/nowhere'], /ENOENT/],
    ];
    for (const [argv, message] of wrong) {
      const { code, stderr, stdout } = await run(...argv);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    }
    const help = await run('inspect', '--help');
    assert.equal(help.code, 0);
    assert.match(help.stdout, /^Usage: pod-certificate-agent inspect DIR/);
  });

  test('works without privileges, and says what it could not read', async (t) => {
    if (process.getuid?.() !== 0) {
      return t.skip('only root can become somebody else');
    }
    const directory = createVolume(t, usual(await createMaterial()), 0o644);
    for (const path of [directory, join(directory, '..data')]) {
      chmodSync(path, 0o755);
    }
    chmodSync(join(directory, 'tls.pem'), 0o600);
    // Loads the command's code, which need not be readable by others.
    await run('inspect', '--help');
    process.seteuid?.(65534);
    const { code, stdout } = await run('inspect', directory).finally(() => process.seteuid?.(0));
    assert.equal(stdout, 'warn  tls.pem: cannot be read: EACCES\nok    1 trust anchors\nwell\n');
    assert.equal(code, 0);
  });
});

test('a volume that changes while it is read is read again, so that no two versions are mixed', async (t) => {
  const { readVolumeFiles } = await import('../../../agent/cli/volume-files.ts');
  const directory = createVolume(t, { 'tls.pem': 'one' });
  assert.deepEqual(
    readVolumeFiles(directory).map((file) => (file.type === 'read' ? String(file.bytes) : file.reason)),
    ['one'],
  );
  // What leads nowhere is told, and is no reason to try for ever.
  symlinkSync('..gone', join(directory, '..tmp'));
  renameSync(join(directory, '..tmp'), join(directory, '..data'));
  assert.deepEqual(readVolumeFiles(directory), [{ path: 'tls.pem', type: 'unreadable', reason: 'ENOENT' }]);
});

async function bundle(t: TestContext): Promise<string> {
  return createVolume(t, usual(await createMaterial()));
}

test('the program’s own exit code is the command’s', async (t) => {
  const script = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, 'inspect', await bundle(t)], { encoding: 'utf8' });
  assert.equal(status, 0);
  assert.match(stdout, /well\n$/);
});
