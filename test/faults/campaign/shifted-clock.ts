/**
 * Preloaded into a process (`--import`): its wall clock is as far from the truth as the file says that SHIFTED_CLOCK names, from when
 * that is changed. What counts elapsed time goes on as ever, as when somebody sets a machine's clock, or a machine is suspended.
 */
import { readFileSync } from 'node:fs';

const file = process.env['SHIFTED_CLOCK'] ?? '';
const lookMs = 20;
const trueNow = Date.now.bind(Date);
let shiftMs = 0;

function look(): void {
  const read = Number(readFileSync(file, 'utf8'));
  shiftMs = Number.isFinite(read) ? read : shiftMs;
}

const TrueDate = Date;
/** `new Date()` is now, of the shifted clock; everything else is as it was. */
globalThis.Date = new Proxy(TrueDate, {
  construct: (target, values) =>
    values.length === 0 ? new target(trueNow() + shiftMs) : Reflect.construct(target, values),
  get: (target, key) => (key === 'now' ? () => trueNow() + shiftMs : Reflect.get(target, key)),
});

look();
setInterval(look, lookMs).unref();
