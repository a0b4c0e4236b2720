/** What the HTTP endpoint answers, before it is written to a connection. */

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Headers besides those that every reply has. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** One or more lines of text; the last line break is added. */
export function textReply(status: number, lines: string, headers?: Readonly<Record<string, string>>): Reply {
  const reply = { status, contentType: 'text/plain; charset=utf-8', body: `${lines}\n` };
  return headers === undefined ? reply : { ...reply, headers };
}
