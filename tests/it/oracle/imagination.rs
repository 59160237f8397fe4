//! Makes wishes for a writer out of what it knows of the tasks: few words and few tasks, so that writers meet.

use serde_json::{Map, Value, json};

use super::batch::Batch;
use super::random::Random;
use super::wish::{Impossible, Wish, WishKind};
use super::words;

/// Operations of a batch: enough that others come between them if they can.
pub const OPERATIONS_MAX: u64 = 6;
/// How many in a hundred changes have their task start by itself. Each start costs some processes.
const AUTO_START_PERCENT: u64 = 2;
/// How long leases last: most end by themselves, in a hub whose seconds are short, and some never do.
const LEASE_SECONDS: &[u64] = &[5, 5, 10, 20, 3600, 3600];

/// What a writer knows of a task when it makes a wish.
#[derive(Debug, Clone)]
pub struct Known {
    pub task: String,
    pub version: i64,
    /// The last lease that it was seen under.
    pub lease: Option<String>,
    /// The last questions about it, most of which have ended.
    pub questions: Vec<KnownQuestion>,
}

#[derive(Debug, Clone)]
pub struct KnownQuestion {
    pub id: String,
    /// The answers to choose from.
    pub options: Vec<String>,
}

/// Makes wishes.
pub struct Imagination {
    pub random: Random,
    pub writer: usize,
    pub count: u32,
    pub heavy_percent: u64,
}

impl Imagination {
    /// `is_full`: there are enough tasks already.
    pub fn wish(&mut self, all: &[Known], is_full: bool) -> Wish {
        let known = (!all.is_empty()).then(|| self.random.pick(all).clone());
        self.count += 1;
        let mark = format!("[[{}.{}]]", self.writer, self.count);
        let kind = match (known, self.random.between(0..=99)) {
            (_, 0..=6) => WishKind::Announce(self.announcement(&mark)),
            (None, _) => WishKind::Create(self.fields(&mark, true, all)),
            (Some(_), 7..=19) if !is_full => WishKind::Create(self.fields(&mark, true, all)),
            (Some(Known { task, version, .. }), 20..=27) => {
                WishKind::Delete { task, if_match: self.random.chance(30).then_some(version) }
            }
            (Some(Known { task, .. }), 28..=37) => WishKind::Impossible(self.impossible(task)),
            (Some(Known { task, .. }), 38..=40) => WishKind::Comment { task, fields: self.comment(&mark) },
            (Some(Known { task, .. }), 41..=46) => WishKind::Ask { task, fields: self.question(&mark) },
            (Some(Known { questions, .. }), 47..=53) if !questions.is_empty() => {
                let KnownQuestion { id, options } = self.random.pick(&questions).clone();
                let text =
                    if options.is_empty() { self.text(&mark) } else { self.random.pick(&options).clone() };
                WishKind::Answer { question: id, text }
            }
            (Some(_), 54..=62) => WishKind::Claim {
                worker: (*self.random.pick(words::ASSIGNEES)).to_owned(),
                another: self.random.chance(50),
                seconds: *self.random.pick(LEASE_SECONDS),
            },
            (Some(Known { task, lease: Some(lease), .. }), 63..=70) => WishKind::GiveBack { task, lease },
            (Some(Known { task, version, lease, .. }), 47..=80) => WishKind::Update {
                task,
                fields: self.fields(&mark, false, all),
                if_match: self.random.chance(30).then_some(version),
                as_report: false,
                lease: lease.filter(|_| self.random.chance(30)),
            },
            // Again, perhaps while it is being executed.
            (Some(Known { task, .. }), 81..=82) => WishKind::Update {
                task,
                fields: starting(&mark),
                if_match: None,
                as_report: false,
                lease: None,
            },
            (Some(Known { task, version, lease, .. }), _) => WishKind::Update {
                task,
                fields: self.report(&mark),
                if_match: self.random.chance(20).then_some(version),
                as_report: true,
                lease: lease.filter(|_| self.random.chance(60)),
            },
        };
        Wish { mark, kind }
    }

    /// Wishes for a batch. Each shows its mark in its event.
    pub fn batch(&mut self, all: &[Known], is_full: bool) -> Batch {
        self.count += 1;
        let (atomic, as_lines) = (self.random.chance(50), self.random.chance(40));
        let count = self.random.between(1..=OPERATIONS_MAX);
        let wishes = (0..count).map(|index| {
            let mark = format!("[[{}.{}.{index}]]", self.writer, self.count);
            let kind = self.operation(&mark, all, is_full);
            Wish { mark, kind }
        });
        Batch { atomic, as_lines, wishes: wishes.collect() }
    }

    fn operation(&mut self, mark: &str, all: &[Known], is_full: bool) -> WishKind {
        let known = (!all.is_empty()).then(|| self.random.pick(all).clone());
        match (known, self.random.between(0..=99)) {
            (None, _) => WishKind::Create(self.fields(mark, true, all)),
            (Some(_), 0..=29) if !is_full => WishKind::Create(self.fields(mark, true, all)),
            (Some(Known { task, version, .. }), 30..=37) => {
                WishKind::Delete { task, if_match: self.random.chance(30).then_some(version) }
            }
            (Some(Known { task, .. }), 38..=47) => WishKind::Impossible(match self.random.between(0..=6) {
                0 => Impossible::NoSuchTask,
                1 => Impossible::NoSuchLease(task),
                2 => Impossible::WaitsForItself(task),
                3 => Impossible::WaitsForNobody(self.random.chance(50).then_some(task)),
                4 => Impossible::BlankTitle,
                5 => Impossible::UnknownStatus(task),
                _ => Impossible::StaleVersion(task),
            }),
            (Some(Known { task, version, lease, .. }), chance) => {
                let as_report = chance >= 75;
                let mut fields = if as_report { self.report(mark) } else { self.fields(mark, false, all) };
                match as_report {
                    true => fields.insert("artifacts".into(), self.artifacts(mark)),
                    false => fields.insert("title".into(), json!(self.text(mark))),
                };
                let if_match = self.random.chance(10).then_some(version);
                WishKind::Update {
                    task,
                    fields,
                    if_match,
                    as_report,
                    lease: lease.filter(|_| chance % 3 == 0),
                }
            }
        }
    }

    fn text(&mut self, mark: &str) -> String {
        match self.random.chance(20) {
            true => format!("{}{mark}", self.random.pick(words::NASTY)),
            false => mark.to_owned(),
        }
    }

    fn announcement(&mut self, mark: &str) -> Map<String, Value> {
        object([("level", json!(self.random.pick(words::LEVELS))), ("message", json!(self.text(mark)))])
    }

    fn comment(&mut self, mark: &str) -> Map<String, Value> {
        let mut random = self.random.fork();
        object([("text", json!(self.text(mark))), ("author", or_null(&mut random, words::ASSIGNEES))])
    }

    fn question(&mut self, mark: &str) -> Map<String, Value> {
        let mut fields = object([("text", json!(self.text(mark)))]);
        let options = if self.random.chance(50) { words::OPTIONS } else { &[] };
        if !options.is_empty() {
            fields.insert("options".into(), json!(options));
        }
        if self.random.chance(50) {
            fields.insert("deadline_seconds".into(), json!(self.random.between(1..=3)));
        }
        if self.random.chance(50) {
            let default = if options.is_empty() { mark } else { *self.random.pick(options) };
            fields.insert("default".into(), json!(default));
        }
        fields
    }

    /// Fields of a new task, or some of them for a change. Few of them hold the mark, so that a change can be
    /// one that changes nothing.
    fn fields(&mut self, mark: &str, is_new: bool, all: &[Known]) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut random = self.random.fork();
        let wants = |random: &mut Random| random.chance(30);
        if is_new || random.chance(20) {
            fields.insert("title".into(), json!(self.text(mark)));
        }
        if wants(&mut random) {
            let text = if random.chance(30) { String::new() } else { self.text(mark) };
            fields.insert("description".into(), json!(text));
        }
        if wants(&mut random) {
            fields.insert("status".into(), json!(random.pick(words::STATUSES)));
        }
        if wants(&mut random) {
            fields.insert("priority".into(), or_null(&mut random, words::PRIORITIES));
        }
        if wants(&mut random) {
            fields.insert("assignee".into(), or_null(&mut random, words::ASSIGNEES));
        }
        if wants(&mut random) {
            fields.insert("tags".into(), json!(random.some(words::TAGS, 3)));
        }
        if wants(&mut random) || random.chance(self.heavy_percent) {
            fields.insert("artifacts".into(), self.artifacts(mark));
        }
        if !all.is_empty() && random.chance(45) {
            let blockers = match random.chance(20) {
                true => Vec::new(),
                false => random.some(all, 3),
            };
            let blockers: Vec<_> = blockers.into_iter().map(|known| known.task).collect();
            fields.insert("blocked_by".into(), json!(blockers));
        }
        if wants(&mut random) {
            fields.insert("attempts_max".into(), json!(random.pick(&[1, 1, 2, 3])));
        }
        let starts = random.chance(AUTO_START_PERCENT);
        if starts {
            fields.insert("auto_start".into(), json!(true));
        }
        if starts || random.chance(10) {
            fields.insert("script".into(), json!(script(mark)));
        }
        fields
    }

    fn report(&mut self, mark: &str) -> Map<String, Value> {
        // Others wait for the end of a task.
        let status = if self.random.chance(25) { "done" } else { *self.random.pick(words::STATUSES) };
        let mut fields = object([("status", json!(status))]);
        if self.random.chance(20) {
            fields.insert("priority".into(), json!(self.random.pick(words::PRIORITIES)));
        }
        if self.random.chance(20) {
            fields.insert("assignee".into(), json!(self.random.pick(words::ASSIGNEES)));
        }
        if self.random.chance(20 + self.heavy_percent) {
            fields.insert("artifacts".into(), self.artifacts(mark));
        }
        fields
    }

    fn artifacts(&mut self, mark: &str) -> Value {
        if !self.random.chance(self.heavy_percent) {
            return json!([self.text(mark)]);
        }
        let count = self.random.between(4..=15);
        json!((0..count).map(|number| format!("{mark}{number:/>4000}")).collect::<Vec<_>>())
    }

    fn impossible(&mut self, task: String) -> Impossible {
        match self.random.between(0..=10) {
            0 => Impossible::NoSuchTask,
            6 => Impossible::NoSuchLease(task),
            7 => Impossible::WaitsForItself(task),
            10 => Impossible::WaitsForNobody(self.random.chance(50).then_some(task)),
            8 => Impossible::NoSuchQuestion,
            9 => Impossible::DefaultNotOffered(task),
            1 => Impossible::BlankTitle,
            2 => Impossible::UnknownStatus(task),
            3 => Impossible::UnknownLevel,
            _ => Impossible::StaleVersion(task),
        }
    }
}

/// What a task runs: for so long that others change it meanwhile.
fn script(mark: &str) -> String {
    format!("sleep 0.1; echo {mark}")
}

/// The fields of a task that may begin and is to start by itself.
fn starting(mark: &str) -> Map<String, Value> {
    object([
        ("status", json!("todo")),
        ("assignee", Value::Null),
        ("blocked_by", json!([])),
        ("script", json!(script(mark))),
        ("auto_start", json!(true)),
    ])
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn or_null(random: &mut Random, words: &[&str]) -> Value {
    if random.chance(25) { Value::Null } else { json!(random.pick(words)) }
}
