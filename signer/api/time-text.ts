/** A time as Kubernetes writes it: RFC 3339, whole seconds, UTC. @param milliseconds since the epoch */
export function timeText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
