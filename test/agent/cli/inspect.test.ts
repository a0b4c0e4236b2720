import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../../agent/main.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { makeDirectory } from '../../support/directory.ts';
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

/** @returns nothing while nobody reads the pipe */
function openToWrite(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
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
      'ok    ca.pem: 1 trust anchor',
      'well',
      '',
    ]);
  });

  test('leaves what it reads out of core dumps, before it reads anything', async (t) => {
    const material = await createMaterial();
    const directory = createVolume(t, usual(material));
    const pipe = join(makeDirectory(t), 'anchors');
    execFileSync('mkfifo', [pipe]);
    // As it mostly is; the child inherits it, and this process may have another.
    const filter = '/proc/self/coredump_filter';
    const before = readFileSync(filter, 'utf8').trim();
    writeFileSync(filter, '0x33');
    const program = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url));
    const child = spawn(process.execPath, [program, 'inspect', '--anchors', pipe, directory], { stdio: 'ignore' });
    writeFileSync(filter, `0x${before}`);
    t.after(() => child.kill('SIGKILL'));
    const ended = eventOf(child, 'exit', 'the command to end');
    let writable: number | undefined;
    await until(
      () => {
        writable = openToWrite(pipe);
        return writable !== undefined;
      },
      () => 'the command to read the pipe',
      () => new Promise((resolve) => setTimeout(resolve, 20)),
    );
    assert.equal(Number.parseInt(readFileSync(`/proc/${child.pid}/coredump_filter`, 'utf8'), 16), 0);
    writeFileSync(writable ?? -1, material.root.pem);
    closeSync(writable ?? -1);
    assert.deepEqual(await ended, [0, null]);
  });

  test('knows key, chain, leaf, intermediates and anchors by what they are, in any files', async (t) => {
    const { key, leaf, intermediate, root } = await createMaterial();
    const split = {
      'a/k': key,
      'b/leaf': leaf,
      'b/ints': intermediate.pem,
      'c/roots': `text\n${root.pem}`,
      'c/optional': '',
    };
    for (const files of [split, { ...split, 'b/chain': leaf + intermediate.pem }]) {
      const { code, stdout } = await run('inspect', '--strict', createVolume(t, files));
      assert.equal(code, 0, stdout);
      assert.match(stdout, /leads to the trust anchor/);
      // Every file is accounted for.
      for (const path of Object.keys(files)) {
        assert.match(stdout, new RegExp(`^(ok|note) +${path}: `, 'm'));
      }
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
    const why =
      'fail  ca.pem: the trust anchors are wrong: "CN=root" has the name of the authority that issued "CN=issuing", and another key';
    assert.ok(lines.includes(why), `${why} is not in:\n${lines.join('\n')}`);
    const right = join(createDirectory(t, { 'roots.pem': material.root.pem }), 'roots.pem');
    assert.equal((await run('inspect', wrong, '--anchors', right)).code, 0);
    const given = await run('inspect', createVolume(t, usual(material)), '--anchors', right);
    assert.equal(given.code, 0);
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
    assert.deepEqual(findings[4], { level: 'ok', path: 'ca.pem', message: '1 trust anchor' });
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
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^fail {2}tls\.pem: block 1 \(PRIVATE KEY\) cannot be understood$/m);
    assert.match(stdout, /^fail {2}tls\.pem: no key in the volume belongs to the leaf$/m);
    assert.match(stdout, /^fail {2}begun\.pem: a PEM block is begun and not ended$/m);
    assert.match(stdout, /^fail {2}cut\.pem: a PEM block is begun and not ended$/m);
    assert.ok(!(stdout + stderr).includes(body.slice(2, 30)), `${body.slice(2, 30)} is in:\n${stdout + stderr}`);
  });

  test('fails a directory that holds nothing of the kind', async (t) => {
    const { code, lines } = await run('inspect', createDirectory(t, { 'notes.txt': 'hello', 'empty.pem': '' }));
    assert.equal(code, 1);
    const hello = 'fail  notes.txt: it holds neither a private key nor a certificate in PEM';
    assert.deepEqual(lines, [hello, 'fail  no key, no certificate and no trust anchor was found', 'not well', '']);
  });

  test('finds no volume well in which a file is something else, however well the others are', async (t) => {
    const material = await createMaterial();
    const request = '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n';
    const others = { hello: 'hello\n', 'request.pem': request, 'both.pem': material.root.pem + request };
    const { code, lines } = await run('inspect', createVolume(t, { ...usual(material), ...others }));
    assert.equal(code, 1);
    assert.deepEqual(lines.slice(0, 3), [
      'fail  both.pem: block 2 (CERTIFICATE REQUEST) is neither a private key nor a certificate',
      'fail  hello: it holds neither a private key nor a certificate in PEM',
      'fail  request.pem: block 1 (CERTIFICATE REQUEST) is neither a private key nor a certificate',
    ]);
  });

  test('fails a key under a password, in either form, and one that is another’s', async (t) => {
    const { key, leaf, root, intermediate } = await createMaterial();
    const object = createPrivateKey(key);
    const protection = { cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
    const modern = object.export({ type: 'pkcs8', format: 'pem', ...protection }).toString();
    const old = object.export({ type: 'sec1', format: 'pem', ...protection }).toString();
    for (const [text, label] of [
      [modern, 'ENCRYPTED PRIVATE KEY'],
      [old, 'EC PRIVATE KEY'],
    ] as const) {
      const files = { 'tls.pem': text + leaf + intermediate.pem, 'ca.pem': root.pem };
      const { code, stdout } = await run('inspect', createVolume(t, files));
      assert.equal(code, 1);
      assert.ok(stdout.includes(`fail  tls.pem: block 1 (${label}) is a private key under a password`), stdout);
      assert.match(stdout, /^fail {2}tls\.pem: no key in the volume belongs to the leaf$/m);
    }
    const foreign = {
      ...usual({ key, leaf, root, intermediate, spki: new Uint8Array() }),
      'k.pem': createIdentity().key,
    };
    const { code, stdout } = await run('inspect', createVolume(t, foreign));
    assert.equal(code, 1);
    assert.match(stdout, /^fail {2}k\.pem: the ec key belongs to no leaf of the volume$/m);
  });

  test('says that an intermediate is missing, and no more than a warning of anchors that may be a peer’s', async (t) => {
    const { key, leaf, intermediate, root } = await createMaterial();
    const cut = await run('inspect', createVolume(t, { 'tls.pem': key + leaf, 'ca.pem': root.pem }));
    assert.equal(cut.code, 1);
    assert.match(
      cut.stdout,
      /^fail {2}tls\.pem: an intermediate is missing: "CN=issuing", which issued the leaf, is neither/m,
    );
    const peer = await createRootAuthority('CN=peer');
    const files = { 'tls.pem': key + leaf + intermediate.pem, 'ca.pem': peer.pem };
    const alone = await run('inspect', createVolume(t, files));
    assert.equal(alone.code, 0, alone.stdout);
    assert.match(
      alone.stdout,
      /^warn {2}tls\.pem: .*it ends with "CN=issuing", issued by "CN=root", which is not among them; they are wrong, unless/m,
    );
    const given = join(createDirectory(t, { 'peer.pem': peer.pem }), 'peer.pem');
    assert.equal((await run('inspect', createVolume(t, files), '--anchors', given)).code, 1);
  });

  test('knows by the volume’s record whose the anchors are, and which files are missing', async (t) => {
    const { key, leaf, intermediate, root } = await createMaterial();
    const peer = await createRootAuthority('CN=peer');
    const certificate = {
      kind: 'podCertificate',
      index: 0,
      signerName: 'example.com/mesh',
      credentialBundlePath: 'tls.pem',
    };
    const bundle = (path: string, select: object) => ({ kind: 'clusterTrustBundle', select, optional: false, path });
    const recorded = (files: Readonly<Record<string, string>>, ...bundles: readonly object[]): string => {
      const volume = createVolume(t, files);
      mkdirSync(join(volume, '..agent'));
      const record = { declaration: { sources: [certificate, ...bundles] } };
      writeFileSync(join(volume, '..agent', 'volume.json'), JSON.stringify({ record }));
      return volume;
    };
    const peers = bundle('peers.pem', { by: 'signer', signerName: 'example.com/peers' });
    const own = bundle('ca.pem', { by: 'name', name: 'example.com:mesh:roots' });
    const files = { 'tls.pem': key + leaf + intermediate.pem, 'peers.pem': peer.pem };
    const works = await run('inspect', '--strict', recorded(files, peers));
    assert.equal(works.code, 0, works.stdout);
    assert.match(
      works.stdout,
      /^note {2}tls\.pem: the trust anchors are of other signers, for the pod to know its peers by/m,
    );
    const wrong = await run('inspect', recorded({ ...files, 'ca.pem': peer.pem }, peers, own));
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.stdout,
      /^fail {2}tls\.pem: .*the trust anchors are wrong, or another intermediate is missing$/m,
    );
    assert.equal((await run('inspect', recorded({ ...files, 'ca.pem': root.pem }, peers, own))).code, 0);
    const missing = await run('inspect', recorded(files, peers, own));
    assert.equal(missing.code, 1);
    assert.match(missing.stdout, /^fail {2}ca\.pem: the pod asks for it, and it is missing$/m);
  });

  test('fails a chain with an issuer that has no name, and warns of a leaf without one', async (t) => {
    const root = await createRootAuthority('');
    const { key, spki } = createIdentity();
    const now = Date.now();
    const leaf = await root.issueLeaf({ spki, names: [], notBefore: now - hours, notAfter: now + hours });
    const { code, stdout } = await run('inspect', createVolume(t, { 'tls.pem': key + leaf, 'ca.pem': root.pem }));
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^fail {2}tls\.pem: "with serial number [0-9A-F]+" names no issuer: OpenSSL and Node\.js refuse/m,
    );
    assert.match(stdout, /^warn {2}tls\.pem: the leaf has no name at all, no subject and no alternative name/m);
    const named = await (await createRootAuthority()).issueLeaf({
      spki,
      subject: 'CN=web',
      names: [],
      notBefore: now - hours,
      notAfter: now + hours,
    });
    const old = await run('inspect', createVolume(t, { 'tls.pem': key + named }));
    assert.equal(old.code, 0);
    assert.match(old.stdout, /^warn {2}tls\.pem: the leaf has no alternative name/m);
  });

  test('does not warn of the last minutes of a certificate that has no others', async (t) => {
    const material = await createMaterial(-60_000, 120_000);
    const { code, stdout } = await run('inspect', '--strict', createVolume(t, usual(material)));
    assert.equal(code, 0, stdout);
  });

  test('follows no link out of the volume, waits for no pipe, and goes down only so far', async (t) => {
    const material = await createMaterial();
    const elsewhere = createDirectory(t, { secret: material.key });
    const directory = createDirectory(t, { ...usual(material), '1/2/3/4/5/6/7/8/9/deep.pem': material.key });
    symlinkSync(join(elsewhere, 'secret'), join(directory, 'link.pem'));
    symlinkSync('missing', join(directory, 'dangling.pem'));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    const { stdout } = await run('inspect', directory);
    assert.match(stdout, /^fail {2}link\.pem: cannot be read: it leads out of the volume$/m);
    assert.match(stdout, /^fail {2}dangling\.pem: cannot be read: ENOENT$/m);
    assert.match(stdout, /^fail {2}pipe: cannot be read: it is no regular file$/m);
    assert.ok(!stdout.includes('deep.pem'), `deep.pem is in:\n${stdout}`);
    assert.match(
      stdout,
      /^fail {2}1\/2\/3\/4\/5\/6\/7\/8\/9: cannot be read: it is a directory that is linked to or lies too deep$/m,
    );
  });

  test('says what is wrong with the command line or the directory, and ends with 2', async (t) => {
    const directory = createDirectory(t, { 'bad.pem': 'no PEM', 'a.pem': '' });
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['inspect'], /^one directory must be named\n/],
      [['inspect', 'a', 'b'], /^one directory must be named\n/],
      [['inspect', join(directory, 'nowhere')], /ENOENT/],
      [['inspect', directory, '--output=xml'], /^--output must be text or json\n/],
      [['inspect', directory, '--colour'], /Unknown option '--colour'/],
      [['inspect', directory, `--anchors=${join(directory, 'nowhere')}`], /ENOENT/],
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
    assert.equal(stdout, 'fail  tls.pem: cannot be read: EACCES\nok    ca.pem: 1 trust anchor\nnot well\n');
    assert.equal(code, 1);
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
