/**
 * The one mount option that a volume takes: the SELinux context of the pod it is for. A kubelet passes it where the CSIDriver object has
 * `seLinuxMount: true`, so that all files bear the pod's label from the start and nobody has to relabel them one by one. It becomes
 * part of the options of a mount that root makes: nothing else than such a context, and nothing beside it, is let through.
 *
 * https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#assign-selinux-labels-to-a-container
 */

/** `user:role:type`, and with MLS `:range`, whose categories may be listed with commas. */
const contextForm = /^[\w.-]+:[\w.-]+:[\w.-]+(:[\w.,:-]+)?$/;
export const maxContextLength = 1024;

export function isSELinuxContext(text: string): boolean {
  return text.length <= maxContextLength && contextForm.test(text);
}

/**
 * The context among the mount options of a call: none, or one. The kubelet puts it in quotes, because of the commas.
 * @returns what is wrong with them, where anything is
 */
export function readMountFlags(
  flags: readonly string[],
): { readonly ok: true; readonly context?: string } | { readonly ok: false; readonly message: string } {
  const [flag, ...others] = flags;
  if (flag === undefined) {
    return { ok: true };
  }
  const context = /^context=("?)([^"]*)\1$/.exec(flag)?.[2];
  if (context === undefined || !isSELinuxContext(context) || others.length > 0) {
    const found = JSON.stringify(flags.join(' ').slice(0, 128));
    const message = `may hold one SELinux context, context="user:role:type:range", and nothing else, not ${found}`;
    return { ok: false, message };
  }
  return { ok: true, context };
}

/** The context as an option for mount(8), to which an unquoted comma is the end of an option. */
export function contextOption(context: string | undefined): string {
  return context === undefined ? '' : `,context="${context}"`;
}
