// How long the tasks of a page's thread take, by the clock of its CPU: on a machine that others use, the clock on the wall
// tells how busy they are.

const CATEGORIES = ["toplevel", "__metadata"]; // more of them would cost more than what is measured

/** Notes the tasks of `page` until `stop` is called, which answers how many milliseconds of the CPU each took, shortest first. */
export async function traceTasks(page) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: CATEGORIES });
  return async function stop() {
    const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
    const mains = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`));
    const tasks = traceEvents.filter(({ name, ph, pid, tid }) => ph === "X" && /RunTask$/.test(name) && mains.has(`${pid} ${tid}`));
    return tasks.map(({ tdur }) => (tdur ?? 0) / 1000).sort((a, b) => a - b);
  };
}
