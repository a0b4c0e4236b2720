/**
 * Prints the part of docs/reference.md that is made from the table of options.
 */
import { optionsTable } from '../../agent/configuration/help.ts';

process.stdout.write(optionsTable());
