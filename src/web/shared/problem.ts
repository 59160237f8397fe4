// What went wrong with a request: a problem that the hub answered (RFC 9457), or no answer at all.

export class Problem extends Error {
  override readonly name = "Problem";

  /** `status` is 0 when there was no answer. */
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail);
  }

  static async from(response: Response): Promise<Problem> {
    const body = (await response.json().catch(() => ({}))) as { title?: string; code?: string; detail?: string };
    const title = body.title || response.statusText || `HTTP ${response.status}`;
    return new Problem(response.status, body.code ?? "", title, body.detail ?? title);
  }

  static unreachable(): Problem {
    return new Problem(0, "unreachable", "The hub is not reachable", "The hub did not answer. Is it running?");
  }

  static late(seconds: number): Problem {
    return new Problem(0, "no_answer", `No answer in ${seconds} seconds`,
      "The hub may still make this change. The board shows it as soon as the hub says so.");
  }
}
