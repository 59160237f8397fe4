// Executions as the board knows them: from lists, whole, and from events, step by step.

import type { Execution, ExecutionEventData } from "../shared/api-types.ts";

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

/** What an event tells, as a step of its execution. */
export function stepOf(data: ExecutionEventData, timestamp: string): RunStep {
  const { execution_event: phase, execution_id: id, actor: _actor, duration_ms: _ms, ...fields } = data;
  const status = phase === "started" ? "running" : phase;
  const step: RunStep = { ...fields, id, status, number: Number(/\d+$/.exec(data.session_name)?.[0] ?? 0) };
  if (phase === "started") step.started_at = timestamp;
  else if (phase === "queued") step.created_at = timestamp;
  else step.ended_at = timestamp;
  return step;
}

/** `attempt 2/3`, when there may be more than one. */
export function attemptWords({ attempt, attempts_max: max }: Execution): string | null {
  return max > 1 ? `attempt ${attempt}/${max}` : null;
}
