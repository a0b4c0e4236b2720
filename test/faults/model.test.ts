/**
 * The three ways in which controllers break, tried everywhere: a copy that is behind the truth, a death between any two writes, an
 * event that is never seen. Beside them: refusals, requests deleted by others, lost replies, clocks that jump, a pod that is taken for
 * gone. Every state is looked at that an issuance, its renewal and so many faults at any places can lead to.
 *
 * `test/end-to-end/crash-replay.test.ts` and `crash.test.ts` play the deaths on real mounts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLongForm } from './form.ts';
import { actionsIn, keyOf, searchAll } from './model/search.ts';
import { isRenewed, start, type World } from './model/world.ts';

const mostFaults = isLongForm ? 3 : 2;
/** More steps than it takes to come right from anywhere. */
const mostSteps = 100;
const first = start({
  ...{ now: Date.UTC(2026, 10, 21), disk: { keys: [] }, server: {}, givenUp: [], ends: {}, requests: 0, written: 0 },
});

test('in every state that so many faults can lead to, all that is promised holds, and all comes right once they are over', (t) => {
  const good = new Set<string>();
  const states = searchAll({
    ...{ first, mostFaults, isEnd: isRenewed },
    onStep(before, after, history) {
      try {
        keepsWhatItHas(before, after);
        asksOnce(before, after);
        restartsInPeace(before, after);
        comesRight(after, good);
      } catch (fault) {
        throw new Error(`${fault instanceof Error ? fault.message : fault}, after: ${history().join(', ')}`, {
          cause: fault,
        });
      }
    },
  });
  t.diagnostic(`${states} states with ${mostFaults} faults at most`);
  assert.ok(states > 10_000, `there are ${states} states only: the search does not go where it should`);
});

/** Files are replaced by those of a certificate that was issued later, written with its own key, and by nothing else. */
function keepsWhatItHas(before: World, after: World): void {
  const [had, has] = [before.disk.files, after.disk.files];
  if (had === has) {
    return;
  }
  assert.ok(has !== undefined, 'the files are gone');
  assert.ok(has in after.ends, `${has} was never issued`);
  const order = Object.keys(after.ends);
  assert.ok(had === undefined || order.indexOf(has) > order.indexOf(had), `${had} is replaced by the older ${has}`);
}

/** No request is made while another one that may still be answered is there, but for those that were given up. */
function asksOnce(before: World, after: World): void {
  const made = Object.keys(after.server).filter((id) => !(id in before.server) && !after.givenUp.includes(id));
  for (const id of made) {
    const live = Object.entries(before.server).filter(
      ([other, answer]) => answer === 'none' && !after.givenUp.includes(other),
    );
    assert.deepEqual(
      live.map(([other]) => other),
      [],
      `${id} is asked for beside another request`,
    );
  }
}

/** An agent that starts where a valid certificate is not due, or a request is under way, makes no key. */
function restartsInPeace(before: World, after: World): void {
  if (before.agent !== undefined || after.agent === undefined) {
    return;
  }
  const { files, noted, request, keys } = before.disk;
  const isFresh = files !== undefined && noted !== undefined && before.now < noted.refreshAt;
  const isUnderWay = request !== undefined && keys.includes(request.id) && request.answer === undefined;
  if (isFresh || isUnderWay) {
    const makesKey = after.agent.work.some(({ do: what }) => what === 'write key');
    assert.ok(!makesKey || (request?.id === noted?.requestName && !isFresh), 'a key is made that is not needed');
  }
}

/** Without further faults the files hold a valid certificate after so many steps, and nothing is left over. */
function comesRight(from: World, good: Set<string>): void {
  const way: string[] = [];
  let world = from;
  for (let step = 0; step < mostSteps; step += 1) {
    const key = keyOf(world);
    way.push(key);
    if (good.has(key) || isWhole(world)) {
      for (const passed of way) {
        good.add(passed);
      }
      return;
    }
    const [next] = actionsIn(world).filter(({ isFault }) => !isFault);
    assert.ok(next !== undefined, 'nothing more happens');
    world = next.next();
  }
  assert.fail(`it does not come right: ${JSON.stringify(world)}`);
}

function isWhole({ agent, disk, ends, now }: World): boolean {
  const { files = '', noted, request, keys } = disk;
  const isInOrder = noted?.requestName === files && request === undefined && keys.length === 0;
  const isValid = (ends[files] ?? 0) > now;
  return agent?.state.name === 'fresh' && agent.work.length === 0 && isInOrder && isValid;
}
