//! Random graphs without a cycle: a task waits for such as were created before it.

use crate::oracle::Random;

/// Tasks that are created at the same time; they wait for earlier ones only.
pub const WAVE: usize = 50;

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
