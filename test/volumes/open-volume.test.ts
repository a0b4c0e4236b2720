/**
 * One volume, opened by itself: what it asks of those around it, and what it says of its files. How whole stores of volumes behave is
 * in store.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { VolumeError } from '../../volumes/base/errors.ts';
import { createWorker, type Steps, type Worker } from '../../volumes/base/steps.ts';
import type { VolumeDeclaration } from '../../volumes/declaration/types.ts';
import type { Plan } from '../../volumes/files/atomic-writer.ts';
import type { ProjectedFile } from '../../volumes/files/layout.ts';
import { mostEntriesForRoom } from '../../volumes/files/limits.ts';
import { type OpenOptions, openVolume } from '../../volumes/open-volume.ts';
import { turnsOf } from '../support/processor-time.ts';
import {
  anchors,
  anchorsSource,
  certificateSource,
  credential,
  makeRecord,
  makeTarget,
  mountSkip,
  openFiles,
  someCertificate,
  temporaryDirectory,
} from './support.ts';

function setUp(t: TestContext, declaration: VolumeDeclaration = { sources: [certificateSource, anchorsSource] }) {
  const targetPath = makeTarget(temporaryDirectory(t));
  fs.mkdirSync(targetPath);
  const asked: number[] = [];
  const problems: string[] = [];
  const spares: ((() => Promise<void>) | undefined)[] = [];
  const usual: OpenOptions = {
    identity: fs.lstatSync(targetPath),
    setOwners: false,
    now: Date.now,
    onProblem: (problem) => problems.push(problem),
    isRemoved: () => false,
    worker: createWorker(),
    inTurn: (work) => work(),
    withRoom(bytes, _entries, work) {
      asked.push(bytes);
      return work();
    },
    onSpare: (clear) => spares.push(clear),
    inKeystoreLine: (work) => work(),
    writeRecord: true,
  };
  const open = (more: Partial<OpenOptions> = {}) =>
    openVolume(makeRecord(targetPath, { declaration }), { ...usual, ...more });
  const current = () => fs.readlinkSync(path.join(targetPath, '..data'));
  return { targetPath, asked, problems, spares, open, current };
}

const pending = { requestName: 'req', keyType: 'ED25519', createdAt: 1 } as const;
const issued = { serialNumber: '01', notBefore: 1, notAfter: 3, beginRefreshAt: 2 };
const bytes = (length: number) => new Uint8Array(length).fill(7);

test('room is asked for each byte of a chain and its anchors four times over, and for what is noted beside them', async (t) => {
  const { asked, open } = setUp(t);
  const volume = await open();
  const room = (length: number): number => 2 * (8192 + 2 * length);
  volume.savePending(0, pending, bytes(48));

  await volume.saveAnswer(0, pending.requestName, { ...issued, certificates: [bytes(700), bytes(11)] });
  await volume.saveAnswer(0, pending.requestName, {
    ...issued,
    certificates: [bytes(700)],
    anchors: [bytes(500), bytes(5)],
  });
  await volume.saveCurrent(0, someCertificate, [bytes(300), bytes(30)]);
  await volume.saveCurrent(0, someCertificate, [bytes(300)], [bytes(3)]);

  assert.deepEqual(asked, [room(711), room(1205), room(330), room(303)]);
});

test('the set before the present one is cleared once, on request, and not where the volume was', async (t) => {
  const { targetPath, spares, open, current } = setUp(t);
  const volume = await open();
  const project = (generation: number) => volume.project(new Map([[0, credential(generation)]]));
  await project(1);
  const first = path.join(targetPath, current());
  await project(2);
  const clearFirst = spares.at(-1);
  assert.ok(clearFirst !== undefined && fs.existsSync(first), 'the set before is there, and may be cleared');
  await clearFirst();
  await clearFirst();
  assert.equal(fs.existsSync(first), false);
  assert.equal(spares.at(-1), undefined);

  await project(3);
  const clear = spares.at(-1);
  assert.ok(clear !== undefined, 'there is a set to clear');
  fs.renameSync(targetPath, `${targetPath}-elsewhere`);
  fs.mkdirSync(targetPath);
  await clear();
  assert.deepEqual(fs.readdirSync(targetPath), []);
});

/** A volume whose set before the present one holds so many directories and files more, as a privileged container can make them. */
async function setUpSpare(t: TestContext, directories: number, filesInEach: number) {
  const node = setUp(t);
  const { targetPath, open, current, spares } = node;
  let isRemoved = false;
  const volume = await open({ isRemoved: () => isRemoved });
  await volume.project(new Map([[0, credential(1)]]));
  const set = path.join(targetPath, current());
  for (let directory = 0; directory < directories; directory += 1) {
    fs.mkdirSync(path.join(set, 'planted', String(directory)), { recursive: true });
    for (let file = 0; file < filesInEach; file += 1) {
      fs.writeFileSync(path.join(set, 'planted', String(directory), String(file)), '');
    }
  }
  await volume.project(new Map([[0, credential(2)]]));
  const clear = spares.at(-1) ?? assert.fail('there is a set to clear');
  const sets = () => fs.readdirSync(targetPath).filter((name) => name.startsWith('..20'));
  const remove = (): void => {
    isRemoved = true;
  };
  return { ...node, volume, set, clear, sets, remove };
}

/** Takes until the first turn of a clearing, which is too short for all of it. @returns the end of the clearing */
async function begun(clear: () => Promise<void>): Promise<{ readonly cleared: Promise<void> }> {
  const before = openFiles();
  const cleared = clear();
  for (let turn = 0; turn < 100 && openFiles() === before; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(openFiles() > before, 'the clearing has begun, and not ended');
  return { cleared };
}

test('whoever needs the room of a set waits for many short turns, and for no more entries than most sets have', async (t) => {
  const { clear, set, volume } = await setUpSpare(t, 40, Math.ceil(mostEntriesForRoom / 40));
  const count = (): number => fs.readdirSync(set, { recursive: true }).length;
  const before = count();
  const { all, longest } = await turnsOf(clear);
  assert.ok(all / longest > 5, `a turn of ${longest} ms of ${all} ms`);
  const removed = before - count();
  assert.ok(removed > mostEntriesForRoom / 2 && removed < mostEntriesForRoom, `${removed} entries are removed`);
  await volume.project(new Map([[0, credential(3)]]));
  assert.equal(fs.existsSync(set), false, 'the next change clears the rest');
});

test('a change of the volume while its set is cleared away for room neither waits for that nor fails', async (t) => {
  const { clear, current, sets, volume, spares } = await setUpSpare(t, 200, 20);
  const before = current();
  const { cleared } = await begun(clear);
  assert.equal(await volume.project(new Map([[0, credential(3)]])), 'written');
  await cleared;
  assert.deepEqual(sets().toSorted(), [before, current()].toSorted());
  assert.ok(spares.at(-1) !== undefined, 'the set that was replaced now may be cleared next');
  assert.deepEqual(volume.projected(), new Set([0]));
});

test('a volume that is opened anew while its set is cleared away for room is open, without that set', async (t) => {
  const { clear, current, sets, open } = await setUpSpare(t, 200, 20);
  const { cleared } = await begun(clear);
  const again = await open();
  await cleared;
  assert.deepEqual(sets(), [current()]);
  assert.deepEqual(again.projected(), new Set([0]));
});

test('a clearing ends where it stands when its volume is removed, holds nothing of it, and is no fault', async (t) => {
  const { clear, remove, sets } = await setUpSpare(t, 200, 20);
  const before = openFiles();
  const { cleared } = await begun(clear);
  remove();
  await cleared;
  assert.equal(openFiles(), before);
  assert.equal(sets().length, 2, 'it has not gone on');
});

test('the name of the set in place, and the sources whose files are whole, are read off the volume', async (t) => {
  const { targetPath, open, current } = setUp(t);
  const volume = await open();
  assert.equal(volume.generation(), undefined);
  assert.deepEqual(volume.projected(), new Set());

  await volume.project(new Map([[1, anchors(1)]]));
  assert.equal(volume.generation(), current());
  assert.deepEqual(volume.projected(), new Set([1]));
  await volume.project(new Map([[0, credential(1)]]));
  assert.equal(volume.generation(), current());
  assert.deepEqual(volume.projected(), new Set([0, 1]));
  fs.rmSync(path.join(targetPath, current(), certificateSource.keyPath));
  assert.deepEqual(volume.projected(), new Set([1]));

  fs.renameSync(targetPath, `${targetPath}-elsewhere`);
  assert.deepEqual(volume.projected(), new Set());
});

test('that a set cannot be cleared away for room is said, unless its volume has gone meanwhile', async (t) => {
  for (const goes of [false, true]) {
    const { open, spares } = setUp(t);
    const usual = createWorker();
    let isRemoved = false;
    let fails = false;
    const worker: Worker = {
      carryOut<Result>(steps: Steps<Result>, goOn: () => void) {
        if (!fails) {
          return usual.carryOut(steps, goOn);
        }
        isRemoved = goes;
        return Promise.reject(new VolumeError('FileSystem', 'a file stays'));
      },
    };
    const volume = await open({ worker, isRemoved: () => isRemoved });
    await volume.project(new Map([[0, credential(1)]]));
    await volume.project(new Map([[0, credential(2)]]));
    fails = true;
    const cleared = spares.at(-1)?.() ?? assert.fail('there is a set to clear');
    await (goes ? cleared : assert.rejects(cleared, { message: 'a file stays' }));
  }
});

test('what was laid out of a credential is zero once it is written', async (t) => {
  const { targetPath, open, current } = setUp(t);
  const worker = createWorker();
  const planned: ProjectedFile[] = [];
  const watched: Worker = {
    async carryOut<Result>(steps: Steps<Result>, goOn: () => void) {
      const result = await worker.carryOut(steps, goOn);
      planned.push(...filesIn(result));
      return result;
    },
  };
  const volume = await open({ worker: watched });
  await volume.project(new Map([[0, credential(1)]]));

  const keyFile = path.join(targetPath, current(), certificateSource.keyPath);
  assert.match(fs.readFileSync(keyFile, 'latin1'), /^-----BEGIN PRIVATE KEY-----\nAQEB/);
  const isZero = ({ content }: ProjectedFile) =>
    [...content.pieces()].every((piece) => piece.every((byte) => byte === 0));
  const { credentialBundlePath, keyPath, certificateChainPath } = certificateSource;
  assert.deepEqual(
    planned.map((file) => [file.path, isZero(file)]),
    [
      [credentialBundlePath, true],
      [keyPath, true],
      [certificateChainPath, true],
    ],
  );
});

/** The files of a plan; none of what is no plan. */
function filesIn(result: unknown): readonly ProjectedFile[] {
  const { change } = (typeof result === 'object' && result !== null ? result : {}) as Partial<Plan>;
  return change?.files ?? [];
}

test('anchors that cannot be put back hold up no opening', async (t) => {
  const source = { ...certificateSource, caPath: 'ca.pem' };
  const { targetPath, problems, open, current } = setUp(t, { sources: [source] });
  const volume = await open();
  await volume.project(new Map([[0, { ...credential(1), anchors: [bytes(64)] }]]));
  await volume.saveCurrent(0, someCertificate, [bytes(10)], [bytes(64)]);
  fs.writeFileSync(path.join(targetPath, current(), source.caPath), 'broken');

  const withRoom = async (): Promise<never> => {
    throw new VolumeError('NoSpace', 'the volume has no room');
  };
  const again = await open({ withRoom });
  assert.deepEqual(problems, ['the volume has no room']);
  assert.deepEqual(again.projected(), new Set([0]));

  await open();
  assert.match(problems[1] ?? '', /^the trust anchors of sources\[0\] in .* were not as issued; they are again$/);
  assert.notEqual(fs.readFileSync(path.join(targetPath, current(), source.caPath), 'utf8'), 'broken');
});

test('files of sources that keep trust domains apart stay while another source changes', async (t) => {
  const apartSource = (index: number, directory: string) =>
    ({
      kind: 'clusterTrustBundle',
      index,
      select: { by: 'signer', signerName: 'example.com/mesh' },
      optional: false,
      path: `${directory}/a.example.pem`,
      trustDomains: { own: 'a.example', canarying: 'live', as: 'filePerTrustDomain', needsOwn: true },
    }) as const;
  const { targetPath, open } = setUp(t, {
    sources: [certificateSource, apartSource(1, 'one'), apartSource(2, 'two')],
  });
  const volume = await open();
  const byTrustDomain = ['a.example', 'b.example'].map((trustDomain) => ({ trustDomain, certificates: [bytes(9)] }));
  const content = { kind: 'trustAnchors', certificates: [bytes(9)], byTrustDomain } as const;
  const all = ['one', 'two'].flatMap((name) => [`${name}/a.example.pem`, `${name}/b.example.pem`]);
  await volume.project(
    new Map([
      [1, content],
      [2, content],
    ]),
  );
  await volume.project(new Map([[0, credential(1)]]));
  assert.deepEqual(
    all.filter((file) => fs.existsSync(path.join(targetPath, file))),
    all,
  );
});

const touched = { sources: [certificateSource], reload: { touch: 'generation' } };

test('something that is mounted where the change is told is left alone, and the change is made', {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, problems, open } = setUp(t, touched);
  const volume = await open();
  const file = path.join(targetPath, 'generation');
  fs.mkdirSync(file);
  execFileSync('mount', ['-t', 'tmpfs', 'planted', file]);

  assert.equal(await volume.project(new Map([[0, credential(1)]])), 'written');
  assert.deepEqual(problems, [`${file} has something mounted on it, and is left alone`]);
  assert.deepEqual(volume.projected(), new Set([0]));
});

test('any other fault where the change is told is not passed over', { skip: mountSkip }, async (t) => {
  const { targetPath, problems, open } = setUp(t, touched);
  const volume = await open();
  const [file, other] = [path.join(targetPath, 'generation'), path.join(targetPath, 'other')];
  fs.writeFileSync(file, '');
  fs.writeFileSync(other, 'x');
  execFileSync('mount', ['--bind', other, file]);

  await assert.rejects(volume.project(new Map([[0, credential(1)]])), { code: 'EBUSY' });
  assert.deepEqual(problems, []);
});
