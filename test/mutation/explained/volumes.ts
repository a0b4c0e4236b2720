/** What survives in volumes/, each with its reason. */
import { becauseIn, type Survivors } from './because.ts';
import type { Explanation } from './explanation.ts';

/** @param room the directory of volumes/ */
const because = (why: string, room: string, survivors: Survivors): Explanation[] =>
  becauseIn(`volumes/${room}`)(why, survivors);

const other = '"Stryker was here!"';
const ascii = 'the text is ASCII, which is the same bytes in either encoding';
const others = '["Stryker was here"]';

const declaration: readonly Explanation[] = [
  ...because('no number, order or set holds what is absent; only the type checker has to be told', 'declaration', {
    access: [
      ['user !== undefined', 'true', 'if (user !== undefined && (user < 0 || user > maxUserId)) {'],
      ['mode !== undefined', 'true', 'if (mode !== undefined && hasKey && isForOthers(mode)) {'],
    ],
    attribute: [['port !== undefined', 'true', 'if (port !== undefined && isPort(port)) {']],
    fields: [
      ["typeof key === 'string'", 'true', "if (typeof key === 'string' && known.includes(key)) {"],
      ["typeof value === 'number'", 'true'],
    ],
    'pod-certificate': [
      ['seconds === undefined', 'false'],
      ['{ return undefined; }', '{}', 'if (seconds === undefined) {'],
    ],
    'key-types': [
      ["''", other, "const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {};"],
      ['default: return undefined;', 'default:'],
    ],
    sources: [
      ["source.kind === 'clusterTrustBundle'", 'true'],
      ['mode === undefined', 'false'],
      ['{ return undefined; }', '{}', 'if (mode === undefined) {'],
    ],
  }),
  ...because('a part of a text that was split is always there; only the type checker has to be told', 'declaration', {
    names: [
      ["''", other, "const [domain = '', path = '', ...rest] = text.split('/');"],
      ["''", other, "const domain = signerName.split('/', 1)[0] ?? '';"],
      ["''", other, "const [first = '', second, ...others] = key.split('/');"],
      ["''", other, "const [domain = ''] = key.split('/', 1);"],
    ],
    yaml: [
      ["''", other, "return text.includes('password') ? (line.split(':', 1)[0] ?? '') : line;"],
      ["''", other, "return (text.split('\\n', 1)[0] ?? '').replace(/:$/, '').slice(0, 200);"],
    ],
  }),
  ...because('a declaration with a fault is never used, and the fault is told already', 'declaration', {
    'anchor-layout': [["'trust-domain'", '""']],
    'cluster-trust-bundle': [
      ['select === undefined || file === undefined', 'false'],
      ['select === undefined || file === undefined', 'select === undefined && file === undefined'],
      ['select === undefined', 'false'],
      ['file === undefined', 'false'],
      ['{ return undefined; }', '{}', 'if (select === undefined || file === undefined) {'],
      ['signerName === undefined', 'false'],
      ['{ return undefined; }', '{}', 'if (signerName === undefined) {'],
    ],
    'pod-certificate': [
      ["''", other, "const expiration = readExpiration(mapping, path, signerName ?? '', faults);"],
      ['signerName === undefined || keyType === undefined', 'false'],
      ['signerName === undefined || keyType === undefined', 'signerName === undefined && keyType === undefined'],
      ['signerName === undefined', 'false'],
      ['keyType === undefined', 'false'],
      ['{ return undefined; }', '{}', 'if (signerName === undefined || keyType === undefined) {'],
    ],
    probe: [['port === undefined', 'false']],
    reload: [
      ['port === undefined || path === undefined', 'false'],
      ['port === undefined || path === undefined', 'port === undefined && path === undefined'],
      ['port === undefined', 'false'],
      [
        'path === undefined',
        'false',
        'return port === undefined || path === undefined ? undefined : { port, path, method, scheme };',
      ],
      ['process === undefined', 'false'],
    ],
  }),
  ...because('a field that is undefined and one that is absent are read alike', 'declaration', {
    'anchor-layout': [['ending === undefined', 'false']],
    'layout-fields': [['certificate.roots === undefined', 'false']],
  }),
  ...because("no path begins with a slash, and an empty name is nobody's", 'declaration', {
    paths: [
      ["'/'", '""', "for (let end = output.path.indexOf('/'); end >= 0; end = output.path.indexOf('/', end + 1)) {"],
      ['end >= 0', 'end > 0'],
    ],
  }),
  ...because('there are as many lists as fields; only the type checker has to be told', 'declaration', {
    'pod-certificate': [['[]', others]],
  }),
  ...because('a map that holds more than it may has a first entry', 'declaration', {
    sources: [['oldest !== undefined', 'true']],
  }),
  ...because('the library makes a document of any text when it is told to', 'declaration', {
    yaml: [
      ['document?.errors', 'document.errors'],
      ['document?.warnings', 'document.warnings'],
      ['document?.toJS', 'document.toJS'],
    ],
  }),
  ...because('what is said here is compared with the names of tokens, and is none', 'declaration', {
    yaml: [
      ["'content'", '""'],
      ["'unknown'", '""'],
      ["''", other, "let previous = '';"],
    ],
  }),
];

const files: readonly Explanation[] = [
  ...because(ascii, 'files', {
    content: [["'latin1'", '""']],
    pem: [["'latin1'", '""']],
  }),
  ...because('a digest is as good in another form, and each is of one length', 'files', {
    content: [
      ["'base64'", '""'],
      ["' '", '""'],
    ],
  }),
  ...because('it spares a digest; the digest gives the same content', 'files', {
    content: [
      ['known !== undefined', 'false'],
      ['{ return known; }', '{}'],
    ],
  }),
  ...because('a text is no certificate, and so adds nothing either', 'files', { 'bundle-map': [['[]', others]] }),
  ...because('the types leave nothing over; only the type checker has to be told', 'files', {
    layout: [
      ['default: return owner satisfies never;', 'default:'],
      ['default: return source satisfies never;', 'default:'],
    ],
  }),
  ...because('nothing but errors is thrown; only the type checker has to be told', 'files', {
    hold: [['error instanceof Error', 'true']],
  }),
  ...because('no path of a volume begins with a slash', 'files', { hold: [['end < 0', 'end <= 0']] }),
  ...because('nothing is no yes either', 'files', { roots: [['{ return false; }', '{}']] }),
  ...because('no certificate has trust domains; only the type checker has to be told', 'files', {
    'trust-domain-files': [
      ["source.kind === 'clusterTrustBundle'", 'true'],
      ["content.kind === 'trustAnchors'", 'true'],
    ],
  }),
];

const keystores: readonly Explanation[] = [
  ...because(ascii, 'keystores', { password: [["'latin1'", '""']] }),
  ...because('nothing can be written behind the end of a typed array', 'keystores', {
    derivation: [
      ['index < into.length', 'index <= into.length'],
      ['index < password.length', 'index <= password.length'],
    ],
    password: [['index < randomBytes', 'index <= randomBytes']],
  }),
];

const mounts: readonly Explanation[] = [
  ...because('the separator is looked for from the seventh field on', 'mounts', {
    'mount-table': [
      ['separator < 0', 'separator <= 0'],
      ['mountPoint === undefined', 'false'],
    ],
  }),
  ...because('there is no type without a source behind it; only the type checker has to be told', 'mounts', {
    'mount-table': [['fileSystemType === undefined', 'false']],
  }),
  ...because('a mount that is its own parent is the top of the tree, which lies under all others', 'mounts', {
    'mount-table': [['other !== entry', 'true']],
  }),
  ...because('what stands for a part that is missing is no part of a path either', 'mounts', {
    'target-path': [
      ["''", other],
      ['[]', others],
    ],
  }),
];

const state: readonly Explanation[] = [
  ...because('the agent runs on Linux, which has it; only the type checker has to be told', 'state', {
    state: [['process.geteuid?.()', 'process.geteuid()']],
  }),
  ...because('the mode is looked at again where it is set; asking first spares opening the directory', 'state', {
    state: [['(stats.mode & 0o7777) !== directoryAccess.mode', 'true']],
  }),
  ...because('what is no number is no whole or finite one either; only the type checker has to be told', 'state', {
    'json-fields': [["typeof value !== 'number'", 'false']],
    'state-format': [["typeof found !== 'number'", 'false']],
  }),
  ...because('behind the last byte there is none, and what is none divides nothing', 'state', {
    'read-json': [['at < bytes.length', 'at <= bytes.length']],
  }),
  ...because('a text that was split has a last part; only the type checker has to be told', 'state', {
    'declaration-format': [["''", other]],
  }),
];

export const volumes: readonly Explanation[] = [...declaration, ...files, ...keystores, ...mounts, ...state];
