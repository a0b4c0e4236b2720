/** For tests of the long form: how they are run, and why they are left out of the ordinary line. */
import { mountSkip } from '../../volumes/support.ts';
import { isLongForm } from '../form.ts';

export const longOnly = {
  skip: mountSkip || (!isLongForm && 'npm run test:faults has it'),
  timeout: 3_600_000,
};
