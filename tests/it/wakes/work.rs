//! The work on a graph: which tasks may be finished next, which are being finished, and which are done.
//!
//! It knows the graph and the answers of the hub, and nothing else. A task is begun once. Who has begun it reports it until
//! there is an answer, also across a kill. A graph of several parts is finished in all its parts alike, whatever they look
//! like, so that a kill finds each of them half done.

use std::sync::Arc;

use crate::oracle::Random;

use super::graph::Graph;

pub struct Work {
    graph: Arc<Graph>,
    waiting: Vec<Vec<usize>>,
    random: Random,
    /// How many in a hundred are finished although they wait for something.
    early_percent: u64,
    begun: Vec<bool>,
    done: Vec<bool>,
    /// Tasks of each part.
    part: usize,
    /// Those that wait for nothing, of each part, with some that have been begun early.
    ready: Vec<Vec<usize>>,
}

impl Work {
    pub fn new(graph: Arc<Graph>, part: usize, random: Random, early_percent: u64) -> Self {
        let count = graph.len();
        let mut work = Self {
            waiting: graph.waiting(),
            graph,
            random,
            early_percent,
            begun: vec![false; count],
            done: vec![false; count],
            part,
            ready: vec![Vec::new(); count.div_ceil(part)],
        };
        (0..count).for_each(|task| work.note_if_open(task));
        work
    }

    /// Begins tasks in random order: one, or a few for a batch. None when all that is left waits for others.
    pub fn next(&mut self) -> Vec<usize> {
        let count = if self.random.chance(10) { self.random.between(2..=16) } else { 1 };
        (0..count).map_while(|_| self.begin()).collect()
    }

    /// Notes that the hub has answered.
    pub fn finish(&mut self, tasks: &[usize]) {
        for &task in tasks {
            assert!(!std::mem::replace(&mut self.done[task], true), "finished twice: {task}");
            for released in std::mem::take(&mut self.waiting[task]) {
                self.note_if_open(released);
            }
        }
    }

    pub fn is_done(&self, task: usize) -> bool {
        self.done[task]
    }

    /// Whether it is being reported, and there is no answer yet.
    pub fn is_unanswered(&self, task: usize) -> bool {
        self.begun[task] && !self.done[task]
    }

    fn note_if_open(&mut self, task: usize) {
        if !self.begun[task] && self.graph.blockers(task).all(|blocker| self.done[blocker]) {
            self.ready[task / self.part].push(task);
        }
    }

    fn begin(&mut self) -> Option<usize> {
        let any = self.below(self.begun.len());
        if self.random.chance(self.early_percent) && !std::mem::replace(&mut self.begun[any], true) {
            return Some(any);
        }
        let (parts, first) = (self.ready.len(), self.below(self.ready.len()));
        for part in (first..first + parts).map(|part| part % parts) {
            while !self.ready[part].is_empty() {
                let at = self.below(self.ready[part].len());
                let task = self.ready[part].swap_remove(at);
                if !std::mem::replace(&mut self.begun[task], true) {
                    return Some(task);
                }
            }
        }
        None
    }

    fn below(&mut self, count: usize) -> usize {
        self.random.between(0..=count as u64 - 1) as usize
    }
}
