/**
 * The examples: of the types of the Kubernetes API, fit for restricted namespaces, asking for what the agent accepts. Their programs are
 * run in `example-programs.test.ts`.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { parseDeclaration } from '../../volumes/declaration/sources.ts';
import { withFields } from '../support/fields.ts';
import { objectsIn, one, type Rendered, typeFaults } from './objects.ts';

const directory = join(import.meta.dirname, '../../deploy/examples');
const files = readdirSync(directory);
const read = (file: string): readonly Rendered[] => objectsIn(readFileSync(join(directory, file), 'utf8'));

interface CsiVolume {
  readonly name: string;
  readonly csi?: {
    readonly driver: string;
    readonly readOnly?: boolean;
    readonly volumeAttributes: Readonly<Record<string, string>>;
  };
}

interface Container {
  readonly securityContext: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly readOnly?: boolean }[];
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly securityContext: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: object };
  readonly containers: readonly Container[];
  readonly volumes: readonly CsiVolume[];
}

/** The pods of a file, those of Deployments included. */
function podsIn(objects: readonly Rendered[]): readonly PodSpec[] {
  return objects.flatMap((object) => {
    if (object.kind === 'Pod') {
      return [object['spec'] as PodSpec];
    }
    if (object.kind !== 'Deployment') {
      return [];
    }
    return [(object['spec'] as { template: { spec: PodSpec } }).template.spec];
  });
}

const ownVolumes = ({ volumes }: PodSpec) =>
  volumes.flatMap(({ name, csi }) => (csi === undefined ? [] : [{ name, ...csi }]));

describe('each example', () => {
  for (const file of files) {
    test(`${file} is what the API and the agent accept, and may run in a restricted namespace`, () => {
      const objects = read(file);
      for (const object of objects) {
        assert.deepEqual(typeFaults(object), []);
      }
      const pods = podsIn(objects);
      assert.ok(pods.length > 0, `${pods.length} is not more than 0`);
      for (const pod of pods) {
        const volumes = ownVolumes(pod);
        assert.ok(volumes.length > 0, `${volumes.length} is not more than 0`);
        for (const { name, driver, readOnly, volumeAttributes } of volumes) {
          assert.deepEqual([driver, readOnly], ['csi.podcert.io', true]);
          const parsed = parseDeclaration(volumeAttributes);
          assert.ok(parsed.ok, JSON.stringify(parsed));
          const mounts = pod.containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
          assert.ok(
            mounts.some((mount) => mount.name === name && mount.readOnly),
            `${name} is not mounted read-only: ${inspect(mounts)}`,
          );
        }
        const { runAsNonRoot, seccompProfile } = pod.securityContext;
        assert.deepEqual([runAsNonRoot, seccompProfile], [true, { type: 'RuntimeDefault' }]);
        for (const { securityContext } of pod.containers) {
          const { runAsUser: _user, ...rest } = securityContext as { runAsUser?: number };
          assert.deepEqual(rest, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
        }
      }
    });
  }

  test('that the trial signer answers runs its server under the account that is called like the Service it is asked by', () => {
    const objects = read('mtls-server-and-client.yaml');
    const { name, namespace } = one(objects, 'Service').metadata;
    const [server] = podsIn(objects);
    assert.equal(server?.serviceAccountName, name);
    one(objects, 'ServiceAccount', server?.serviceAccountName);
    const { data } = withFields<{ data: Record<string, string> }>(one(objects, 'ConfigMap'), 'data');
    assert.ok(
      data['client.mjs']?.includes(`'${name}.${namespace}.svc'`),
      'the client expects another name than the trial signer gives the server',
    );
  });
});
