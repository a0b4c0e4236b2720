/**
 * Describes the options for people: `--help`, and the table in docs/reference.md.
 */
import { flagOf, type OptionKey, type OptionRow, optionKeys, options } from './options.ts';

const helpWidth = 100;
const indent = ' '.repeat(6);

/** What `--help` prints. */
export function helpText(): string {
  const rows = optionKeys.map((key) => {
    const { placeholder } = options[key].type;
    const flag = placeholder === undefined ? flagOf(key) : `${flagOf(key)} ${placeholder}`;
    return `  ${flag}\n${wrap(`${options[key].description} ${notes(key)}`)}`;
  });
  return `${[
    'Usage: pod-certificate-agent [options]',
    '       pod-certificate-agent status [--help]        show the volumes and certificates of this node',
    '       pod-certificate-agent inspect DIR [--help]   check the files of a volume',
    '       pod-certificate-agent retry [--help]         after mending a cause: try again now',
    '       pod-certificate-agent probe live|ready       is the agent well? every check',
    '',
    'Gives the pods of one node mTLS certificates: makes keys, asks signers, renews in time.',
    '',
    'Options:',
    `  --config FILE\n${wrap('YAML file with any of the options below, by their name in camelCase (nodeName: …). Flags win over the file.')}`,
    ...rows,
    `  -h, --help\n${wrap('Print this text.')}`,
    `  --version\n${wrap('Print the version.')}`,
    '',
    'A switch is set by its flag alone and unset by --flag=false. Options marked "reloadable" take effect',
    'without a restart when the file changes. Exit code 2: the configuration has faults, one line each.',
  ].join('\n')}\n`;
}

function notes(key: OptionKey): string {
  const row: OptionRow<unknown> = options[key];
  const parts = [
    row.environment === undefined ? undefined : `environment: ${row.environment}`,
    row.default === undefined || row.type.placeholder === undefined ? undefined : `default: ${row.default}`,
    row.required ? 'required' : undefined,
    row.reloadable ? 'reloadable' : undefined,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : `(${parts.join('; ')})`;
}

function wrap(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.trim().split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > helpWidth) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((each) => `${indent}${each}`).join('\n');
}

/** The options as a Markdown table, for docs/reference.md; a test compares the two. */
export function optionsTable(): string {
  const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
  const rows = optionKeys.map((key) => {
    const row: OptionRow<unknown> = options[key];
    const fallback = row.environment === undefined ? row.default : `$${row.environment}`;
    const cells = [
      code(flagOf(key)),
      code(key),
      row.type.accepts,
      fallback === undefined ? '–' : code(fallback),
      row.reloadable ? 'yes' : 'no',
      row.description.replaceAll('|', '\\|').replaceAll('<', '&lt;'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| flag | key in the file | value | default | reloadable | meaning |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
