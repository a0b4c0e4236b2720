/**
 * What mounts and unmounts: system calls made by the agent itself (`mount-calls.ts`), or the system's programs for that
 * (`mount-programs.ts`) where a processor or C library has nothing to make them with.
 */

/** How it went; the message says what the system said. */
export type MountResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

export interface MountMeans {
  /**
   * Mounts a tmpfs without set-user-ID, devices and programs.
   * @param source the name that the mount carries in the mount table
   * @param options of tmpfs, such as `size=64k,mode=0700`
   * @param context the SELinux context of its files; left out where the kernel has no SELinux
   */
  mount(source: string, target: string, options: string, context?: string): Promise<MountResult>;
  /** Changes the options of a tmpfs, by a path that leads to its root and is taken as it is. */
  change(target: string, options: string): Promise<MountResult>;
  unmount(target: string): Promise<MountResult>;
  /** Takes the mount out of the tree, though it is in use. */
  detach(target: string): Promise<MountResult>;
}
