/** Tests of faults have two forms: a short one in every run of the tests, and a long one, `npm run test:faults`. */
export const isLongForm = process.env['FAULTS'] === 'long';
