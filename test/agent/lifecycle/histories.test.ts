import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { currentOf, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type { CredentialState } from '../../../agent/lifecycle/credential-state.ts';
import { inEveryHistory, of } from './every-history.ts';

const second = 1000;
const minute = 60 * second;

test('a certificate in the files is replaced by a written one and by nothing else', () => {
  inEveryHistory(({ event, before, after }) => {
    const current = currentOf(before);
    if (event !== 'restart' && event.type === 'written' && before.name === 'projecting') {
      assert.equal(currentOf(after), before.certificate);
    } else {
      assert.equal(currentOf(after), current);
    }
  });
});

test('a credential never stands still: work is under way or a wake-up is set', () => {
  inEveryHistory(({ after, effects }) => {
    if (after.name === 'generating' || after.name === 'submitting') {
      assert.ok(after.attempt !== undefined, inspect(after));
      return;
    }
    assert.ok(Number.isFinite(wakeTime(after)), `${after.name} after ${effects.map(({ type }) => type).join()}`);
  });
});

test('after the pod has ended nothing is made, asked or written, unless it turns out to live', () => {
  inEveryHistory(({ event, before, after, effects }) => {
    if (before.name !== 'ended' || event === 'restart') {
      return;
    }
    if (event.type === 'podLives') {
      assert.notEqual(after.name, 'ended');
      return;
    }
    assert.equal(after.name, 'ended');
    assert.ok(
      effects.every(({ type }) => type === 'checkPod' || type === 'notify'),
      inspect(effects),
    );
  });
});

test('a pod that has ended is looked for again within minutes, not more than every ten seconds unless woken', () => {
  inEveryHistory(({ now, event, before, after, effects }) => {
    if (after.name === 'ended' && before.name !== 'ended') {
      assert.ok(
        after.recheckAt - now <= 12 * second && after.recheckAt - now >= 10 * second,
        `the pod is looked at again after ${after.recheckAt - now} ms`,
      );
    }
    if (before.name !== 'ended' || after.name !== 'ended') {
      return;
    }
    const looks = of(effects, 'checkPod').length;
    const isDue = now >= before.recheckAt || now < before.since;
    if (event !== 'restart' && event.type === 'timer') {
      assert.equal(looks, isDue ? 1 : 0);
    }
    if (looks > 0) {
      assert.ok(
        after.recheckAt - now <= 6 * minute && after.recheckAt - now >= 10 * second,
        `the pod is looked at again after ${after.recheckAt - now} ms`,
      );
    }
    if (looks > 0 && !isDue) {
      assert.ok(now - before.since >= second, `${now - before.since} is less than ${second}`);
    }
  });
});

test('no certificate in the files expires without a word, whether its pod counts as ended or not', () => {
  inEveryHistory(({ now, event, before, after, effects }, past) => {
    if (event === 'restart' || event.type !== 'timer' || before.name === 'fresh') {
      return;
    }
    const current = currentOf(after);
    if (current === undefined || now < current.notAfter) {
      return;
    }
    const steps = [...past.map((earlier) => earlier.effects), effects];
    const said = steps.flatMap((all) => of(all, 'notify')).filter(({ news }) => news.type === 'expired');
    assert.ok(
      said.some(({ news }) => news.type === 'expired' && news.notAfter === current.notAfter),
      inspect(said),
    );
  });
});

test('while a certificate is valid, the pause after a failure is at most a tenth of its remaining time', () => {
  inEveryHistory(({ now, after, before }) => {
    if (after.name !== 'pausing' || before.name === 'pausing' || after.attempt.current === undefined) {
      return;
    }
    const timeLeft = after.attempt.current.notAfter - now;
    if (timeLeft <= 0) {
      return;
    }
    assert.ok(
      after.until - now <= Math.max(second, timeLeft / 10),
      `${after.until - now} is more than ${Math.max(second, timeLeft / 10)}`,
    );
  });
});

test('a pause is never longer than six minutes, or than a tenth of what a certificate has left, whatever Retry-After asks for', () => {
  inEveryHistory(({ now, event, after, before }) => {
    if (after.name !== 'pausing' || before.name === 'pausing') {
      return;
    }
    const most = Math.max(6 * minute, ((currentOf(after)?.notAfter ?? now) - now) / 10);
    assert.ok(after.until - now <= most, `${after.until - now} is more than ${most}`);
    // After a restart what is left of the pause counts.
    assert.ok(
      event === 'restart' || after.until - now >= 0.8 * second,
      `${after.until - now} is less than ${0.8 * second}`,
    );
  });
});

test('a refresh is always planned before notAfter', () => {
  inEveryHistory(({ after }) => {
    const current = currentOf(after);
    if (current !== undefined) {
      assert.ok(current.refreshAt < current.notAfter, `${current.refreshAt} is not less than ${current.notAfter}`);
    }
  });
});

test('a signer that hangs is asked again while half of the certificate’s remaining time is still there', () => {
  inEveryHistory(({ now, after, before }) => {
    if (after.name !== 'awaiting' || before.name === 'awaiting' || after.attempt.current === undefined) {
      return;
    }
    const timeLeft = after.attempt.current.notAfter - now;
    if (timeLeft > 10 * second) {
      assert.ok(after.giveUpAt <= now + timeLeft / 2 + 1, `${after.giveUpAt} is more than ${now + timeLeft / 2 + 1}`);
    }
  });
});

test('one request is created per key, and created again only when its creation failed or the agent restarted', () => {
  inEveryHistory(({ event, before, effects }, past) => {
    for (const { requestName } of of(effects, 'submit')) {
      const again = past.some((earlier) =>
        of(earlier.effects, 'submit').some((one) => one.requestName === requestName),
      );
      if (!again) {
        continue;
      }
      assert.ok(
        event === 'restart' || (before.name === 'pausing' && before.resubmit === requestName),
        `${requestName} is submitted twice: ${inspect(before)}`,
      );
    }
  });
});

test('after a failure the next key or request waits for the pause to end', () => {
  inEveryHistory(({ now, event, before, effects }) => {
    if (before.name !== 'pausing' || event === 'restart' || event.type === 'retryNow') {
      return;
    }
    const asks = of(effects, 'makeKey').length + of(effects, 'submit').length;
    if (now < before.until && now >= before.attempt.since) {
      assert.equal(asks, 0);
    } else if (event.type === 'timer') {
      assert.equal(asks, 1);
    }
  });
});

test('when the cause may be mended a pause ends at once, but no sooner than a second after the failure', () => {
  inEveryHistory(({ now, event, before, after, effects }) => {
    if (event === 'restart' || event.type !== 'retryNow') {
      return;
    }
    if (before.name === 'ended') {
      return;
    }
    if (before.name === 'fresh' && before.trust.verdict === 'mismatch') {
      return;
    }
    if (before.name !== 'pausing') {
      assert.equal(after, before);
      return;
    }
    const since = now - before.attempt.since;
    const asks = of(effects, 'makeKey').length + of(effects, 'submit').length;
    if (since >= second || since < 0) {
      assert.equal(asks, 1);
    } else if (now < before.until) {
      assert.ok(after.name === 'pausing' && after.until <= before.attempt.since + second, inspect(after));
    }
  });
});

test('a new certificate is asked for at the drawn refresh time, not before, and the drawn time survives a restart', () => {
  inEveryHistory(({ now, event, before, after }) => {
    if (before.name !== 'fresh') {
      return;
    }
    const early = before.trust.verdict === 'mismatch' ? before.trust.mismatch?.refreshAt : undefined;
    const due = Math.min(before.current.refreshAt, before.current.notAfter, early ?? Number.POSITIVE_INFINITY);
    const isAsked = event !== 'restart' && event.type === 'retryNow' && early !== undefined;
    if (event === 'restart') {
      assert.ok(after.name === 'fresh' && after.current.refreshAt === before.current.refreshAt, inspect(after));
    } else if (event.type === 'timer') {
      assert.equal(after.name, now >= due ? 'generating' : 'fresh');
    } else if (event.type === 'trustJudged') {
      assert.equal(after.name, 'fresh');
    } else if (event.type !== 'podEnded' && !isAsked) {
      assert.equal(after, before);
    }
  });
});

const isOutdated = (state: CredentialState, now: number): boolean =>
  state.name === 'maturing' && state.answer.notAfter <= now;

test('a restart makes no key while a request is under way or a certificate is held', () => {
  inEveryHistory(({ now, event, before, effects }) => {
    if (event !== 'restart') {
      return;
    }
    const isAsked = before.name === 'submitting' || before.name === 'awaiting' || before.name === 'maturing';
    const kept = currentOf(before) !== undefined || (isAsked && !isOutdated(before, now));
    if (kept && before.name !== 'ended') {
      assert.deepEqual(of(effects, 'makeKey'), []);
    }
  });
});

test('no certificate that is not valid yet is written while there is a better one or none', () => {
  inEveryHistory(({ now, after, effects }) => {
    for (const { answer } of of(effects, 'project')) {
      const current = currentOf(after);
      assert.ok(
        answer.notBefore <= now || (current !== undefined && current.notAfter <= now),
        `a certificate that is valid from ${answer.notBefore} on is in use at ${now}`,
      );
    }
    if (after.name === 'maturing') {
      assert.ok(
        (wakeTime(after) ?? Number.POSITIVE_INFINITY) <= after.answer.notBefore,
        `${wakeTime(after) ?? Number.POSITIVE_INFINITY} is more than ${after.answer.notBefore}`,
      );
    }
  });
});

test('first issuances go before refreshes', () => {
  inEveryHistory(({ after, effects }) => {
    for (const { priority } of of(effects, 'submit')) {
      assert.equal(priority, currentOf(after) === undefined ? 'first' : 'refresh');
    }
  });
});

test('that a refresh is late, and that a certificate has expired, is said once for each certificate', () => {
  inEveryHistory(({ effects, after }, past) => {
    for (const { news } of of(effects, 'notify')) {
      if (news.type !== 'expired' && news.type !== 'refreshOverdue') {
        continue;
      }
      const since = past.slice(past.findLastIndex(({ event }) => event === 'restart' || event.type === 'written') + 1);
      const refreshing = since.slice(since.findLastIndex(({ before }) => before.name === 'fresh'));
      const said = refreshing.flatMap((earlier) => of(earlier.effects, 'notify')).map((one) => one.news.type);
      assert.ok(!said.includes(news.type), `${news.type} twice before ${after.name}`);
    }
  });
});
