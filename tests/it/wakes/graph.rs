//! Random graphs without a cycle: a task waits for tasks with a lower number.

use crate::oracle::Random;

/// Tasks that are created at the same time; they wait for earlier ones only.
const WAVE: usize = 50;

#[derive(Debug, Clone)]
pub struct Graph {
    /// What each task waits for from its creation on.
    pub first: Vec<Vec<usize>>,
    /// What it waits for besides, from a patch on; only a task that is not ready at its creation does.
    pub late: Vec<Vec<usize>>,
}

/// What a graph looks like.
#[derive(Clone, Copy)]
enum Shape {
    /// Each task waits for some of the last ones.
    Narrow,
    /// For any.
    Wide,
    /// Most for one of few that many wait for.
    Stars,
    /// For many.
    Dense,
}

impl Graph {
    pub fn new(random: &mut Random, tasks: usize) -> Self {
        let shape = *random.pick(&[Shape::Narrow, Shape::Wide, Shape::Stars, Shape::Dense]);
        let mut graph = Self { first: Vec::new(), late: Vec::new() };
        for task in 0..tasks {
            // The ones that are there when the task is created.
            let before = task / WAVE * WAVE;
            let first = match before {
                0 => Vec::new(),
                _ if random.chance(5) => Vec::new(),
                _ => shape.blockers(random, before),
            };
            let wants_more = !first.is_empty() && random.chance(15);
            let mut late = if wants_more { shape.blockers(random, task) } else { Vec::new() };
            late.retain(|blocker| !first.contains(blocker));
            graph.first.push(first);
            graph.late.push(late);
        }
        graph
    }

    /// Several as one: no task waits for one of another graph.
    pub fn joined(graphs: Vec<Self>) -> Self {
        let mut joined = Self { first: Vec::new(), late: Vec::new() };
        for graph in graphs {
            let before = joined.len();
            let moved = |blockers: Vec<usize>| blockers.into_iter().map(|it| before + it).collect();
            joined.first.extend(graph.first.into_iter().map(moved));
            joined.late.extend(graph.late.into_iter().map(moved));
        }
        joined
    }

    /// All tasks in an order in which they can be created: those of a wave wait for earlier waves only, at first.
    pub fn waves(&self) -> Vec<Vec<usize>> {
        let mut depth = vec![0; self.len()];
        let mut waves = Vec::new();
        for task in 0..self.len() {
            depth[task] = self.first[task].iter().map(|blocker| depth[*blocker] + 1).max().unwrap_or(0);
            waves.resize_with(waves.len().max(depth[task] + 1), Vec::new);
            waves[depth[task]].push(task);
        }
        waves
    }

    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// All that a task waits for in the end.
    pub fn blockers(&self, task: usize) -> impl Iterator<Item = usize> + Clone {
        self.first[task].iter().chain(&self.late[task]).copied()
    }

    /// Which tasks wait for each.
    pub fn waiting(&self) -> Vec<Vec<usize>> {
        let mut waiting = vec![Vec::new(); self.len()];
        for task in 0..self.len() {
            self.blockers(task).for_each(|blocker| waiting[blocker].push(task));
        }
        waiting
    }
}

impl Shape {
    /// Some of the first `before` tasks, each once.
    fn blockers(self, random: &mut Random, before: usize) -> Vec<usize> {
        let (count, from) = match self {
            Self::Narrow => (random.between(1..=3), before.saturating_sub(WAVE)),
            Self::Wide => (random.between(1..=4), 0),
            Self::Stars => (random.between(1..=2), 0),
            Self::Dense => (random.between(1..=9), 0),
        };
        let to = match self {
            Self::Stars if random.chance(90) => before.min(5),
            _ => before,
        };
        let mut blockers: Vec<_> =
            (0..count).map(|_| random.between(from as u64..=to as u64 - 1) as usize).collect();
        blockers.sort_unstable();
        blockers.dedup();
        blockers
    }
}
