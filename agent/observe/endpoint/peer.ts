/**
 * Who counts as one peer when connections are shared out: one IPv4 address, or one IPv6 network of 64 bits, in which a
 * single machine can take any address it likes.
 */
import { isIPv6 } from 'node:net';

/** @param address as a socket tells it; undefined when the connection is gone already */
export function peerOf(address: string | undefined): string {
  const bare = (address ?? '').replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
  if (!isIPv6(bare)) {
    return bare;
  }
  const [head = '', tail] = bare.split('::', 2);
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return groups.slice(0, 4).join(':');
}

function groupsOf(text: string): readonly string[] {
  return text === '' ? [] : text.split(':');
}
