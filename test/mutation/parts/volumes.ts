/** The files of volumes/, each with the tests that hold it. */
import type { Part } from './part.ts';

/** By file, the names of its tests where they are not the file's own. */
const declaration: Readonly<Record<string, readonly string[]>> = {
  access: ['sources'],
  'anchor-layout': ['layouts'],
  attribute: ['reload', 'edges'],
  'cluster-trust-bundle': ['sources', 'layouts', 'keystore'],
  fields: ['fields'],
  'key-types': ['key-types'],
  keystore: ['keystore'],
  'layout-fields': ['layouts'],
  layouts: ['layouts'],
  names: ['names', 'sources'],
  paths: ['sources', 'layouts', 'edges'],
  'pod-certificate': ['sources', 'keystore', 'layouts', 'edges'],
  probe: ['reload', 'sources'],
  reload: ['reload', 'edges'],
  'secret-text': ['keystore'],
  'signer-name': ['sources'],
  sources: ['sources', 'keystore', 'layouts', 'reload', 'edges'],
  'trust-domain': ['layouts'],
  yaml: ['yaml', 'keystore', 'edges'],
};

const base: Readonly<Record<string, readonly string[]>> = {
  errors: ['errors'],
  selinux: ['selinux'],
  steps: ['steps'],
  turns: ['turns'],
};

const csi: Readonly<Record<string, readonly string[]>> = {
  calls: ['calls', 'node-service'],
  status: ['status'],
};

const files: Readonly<Record<string, readonly string[]>> = {
  'bundle-map': ['bundle-map'],
  content: ['content'],
  hold: ['hold'],
  layout: ['layout', 'roots'],
  pem: ['pem'],
  roots: ['roots'],
  'trust-domain-files': ['trust-domain-files'],
};

const keystores: Readonly<Record<string, readonly string[]>> = {
  der: ['der'],
  derivation: ['derivation'],
  password: ['derivation'],
};

const mounts: Readonly<Record<string, readonly string[]>> = {
  budget: ['budget'],
  'mount-table': ['mount-table'],
  'target-path': ['target-path'],
};

const state: Readonly<Record<string, readonly string[]>> = {
  'declaration-format': ['state', 'lengths'],
  'json-fields': ['json-fields'],
  'keystore-state': ['keystore-state'],
  'read-json': ['json-fields'],
  'reload-format': ['reload-format'],
  state: ['open-state', 'keystore-state', 'state'],
  'state-format': ['state', 'open-state', 'lengths'],
};

export const volumes: readonly Part[] = Object.entries({
  base,
  csi,
  declaration,
  files,
  keystores,
  mounts,
  state,
}).flatMap(([room, tested]) =>
  Object.entries(tested).map(([name, tests]) => ({
    file: `volumes/${room}/${name}.ts`,
    tests: tests.map((test) => `test/volumes/${room}/${test}.test.ts`),
  })),
);
