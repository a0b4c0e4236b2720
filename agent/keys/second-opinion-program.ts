/**
 * The process for second opinions, dist/second-opinion.mjs: reads signatures as JSON from its standard input, writes the key types whose
 * signatures it does not take as JSON to its standard output, and ends.
 */
import { text } from 'node:stream/consumers';
import { signedIn } from './second-opinion.ts';
import { refusedBy } from './second-opinions.ts';

process.stdout.write(JSON.stringify(refusedBy(signedIn(await text(process.stdin)))));
