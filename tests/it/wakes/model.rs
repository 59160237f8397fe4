//! Where in the log a task becomes ready: told by the graph and the order in which the log has the tasks done.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use super::graph::Graph;

/// What a log has exercised.
#[derive(Debug, Default)]
pub struct Counted {
    pub graphs: usize,
    pub done: usize,
    pub woken: usize,
    /// Most tasks that one has released.
    pub at_once_max: usize,
    /// Tasks that were done before they were ready, and so never became it.
    pub never_ready: usize,
    pub kills: usize,
    /// Tasks whose report had no answer when the hub was killed.
    pub unanswered: usize,
}

impl Counted {
    pub fn add(&mut self, other: &Self) {
        self.graphs += other.graphs;
        self.done += other.done;
        self.woken += other.woken;
        self.at_once_max = self.at_once_max.max(other.at_once_max);
        self.never_ready += other.never_ready;
        self.kills += other.kills;
        self.unanswered += other.unanswered;
    }
}

/// Judges a log, event by event. Panics when a task becomes ready anywhere else in the log, or does not; the words name the
/// event.
pub struct Model<'a> {
    graph: &'a Graph,
    /// The tasks that wait for each, by the graph as it is now.
    waiting: Vec<Vec<usize>>,
    /// By id.
    tasks: HashMap<String, usize>,
    /// In which order they were created.
    rank: Vec<Option<usize>>,
    done: Vec<bool>,
    /// How many blockers of each are not done.
    open: Vec<usize>,
    /// As the log has it.
    ready: Vec<bool>,
    /// Those that have to become ready now, in order.
    due: VecDeque<usize>,
    counted: Counted,
}

impl<'a> Model<'a> {
    pub fn new(graph: &'a Graph) -> Self {
        let count = graph.len();
        Self {
            graph,
            waiting: vec![Vec::new(); count],
            tasks: HashMap::new(),
            rank: vec![None; count],
            done: vec![false; count],
            open: vec![0; count],
            ready: vec![false; count],
            due: VecDeque::new(),
            counted: Counted::default(),
        }
    }

    pub fn apply(&mut self, event: &Value) {
        let data = &event["data"];
        match event["event"].as_str().expect("a word") {
            "task_created" => self.create(event, data),
            "task_updated" => self.update(event, data),
            "lease_event" => assert!(self.due.is_empty(), "{:?} are due before {event}", self.due),
            _ => panic!("nobody did {event}"),
        }
    }

    /// The end of the log: all is done.
    pub fn finish(self) -> Counted {
        assert!(self.due.is_empty(), "{:?} never became ready", self.due);
        assert!(self.done.iter().all(|done| *done), "all were finished");
        self.counted
    }

    fn create(&mut self, event: &Value, data: &Value) {
        assert!(self.due.is_empty(), "{:?} are due before {event}", self.due);
        let task: usize = data["title"].as_str().expect("a title").parse().expect("a number");
        let rank = self.tasks.len();
        assert!(self.rank[task].replace(rank).is_none(), "twice: {event}");
        self.tasks.insert(data["task_id"].as_str().expect("an id").to_owned(), task);
        self.wait(task, &self.graph.first[task]);
        self.ready[task] = self.open[task] == 0;
        assert_eq!(data["ready"], self.ready[task], "{event}");
    }

    fn wait(&mut self, task: usize, blockers: &[usize]) {
        for blocker in blockers {
            self.waiting[*blocker].push(task);
            self.open[task] += usize::from(!self.done[*blocker]);
        }
    }

    fn update(&mut self, event: &Value, data: &Value) {
        let task = self.tasks[data["task_id"].as_str().expect("an id")];
        let (is_ready, is_done) = (data["ready"] == true, data["status"] == "done");
        if let Some(due) = self.due.pop_front() {
            assert_eq!(task, due, "task {due} has to become ready here, not {event}");
            assert!(is_ready && !self.ready[task], "{event}");
            assert_eq!(data["changed"], json!(["ready"]), "{event}");
            self.ready[task] = true;
            self.counted.woken += 1;
            return;
        }
        let changed = data["changed"].as_array().expect("a list");
        let becomes_ready = is_ready && (!self.ready[task] || changed.contains(&json!("ready")));
        assert!(!becomes_ready, "nothing makes it ready, or not once more: {event}");
        assert!(is_ready || !self.ready[task] || data["status"] != "todo", "ready no more: {event}");
        self.ready[task] = is_ready;
        if changed.contains(&json!("blocked_by")) {
            self.wait(task, &self.graph.late[task]);
        }
        if is_done {
            assert!(!std::mem::replace(&mut self.done[task], true), "twice: {event}");
            self.counted.done += 1;
            self.counted.never_ready += usize::from(self.open[task] > 0);
            self.release(task);
        }
    }

    /// Those for which it was the last one, in the order of creation, unless they were done before.
    fn release(&mut self, blocker: usize) {
        let mut released = Vec::new();
        for task in std::mem::take(&mut self.waiting[blocker]) {
            self.open[task] -= 1;
            if self.open[task] == 0 && !self.done[task] {
                released.push(task);
            }
        }
        released.sort_unstable_by_key(|task| self.rank[*task]);
        self.counted.at_once_max = self.counted.at_once_max.max(released.len());
        self.due.extend(released);
    }
}
