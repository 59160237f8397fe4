// Executions as the board knows them: from lists, whole, and from events, step by step.

import type { Execution } from "../shared/api-types.ts";

const LIVE = new Set<string>(["queued", "running"]);

/** What an event tells of an execution. */
export type RunStep = Partial<Execution> & Pick<Execution, "id" | "task_id" | "number" | "status">;

export const EXECUTION_LABELS: Record<string, string> = {
  queued: "Queued", running: "Running", completed: "Completed", failed: "Failed",
  stopped: "Stopped", timed_out: "Timed out", lost: "Lost",
};

const progress = ({ status }: { status: string }) => (status === "queued" ? 0 : status === "running" ? 1 : 2);

export function isLive(execution: RunStep | null | undefined): boolean {
  return execution !== undefined && execution !== null && LIVE.has(execution.status);
}

/**
 * The execution after this step; null when nothing changes. Queued, running, ended: a replayed event or a slow answer
 * must not turn it back.
 */
export function folded(known: Execution | undefined, step: RunStep): Execution | null {
  if (known?.id !== step.id) return step as Execution;
  if (progress(step) < progress(known)) return null;
  return { ...known, ...step };
}

/** `attempt 2/3`, when there may be more than one. */
export function attemptWords({ attempt, attempts_max: max }: Execution): string | null {
  return max > 1 ? `attempt ${attempt}/${max}` : null;
}
