//! The tasks of a snapshot while they are copied from the store: first all rows in order, then corrections of some.
//!
//! A few tasks stay in memory. More go into an unnamed file, and corrections too. [`SnapshotCopy::merge`] puts each correction in the place of its row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use crate::data_dir::DataDir;
use crate::domain::clock::Timestamp;
use crate::domain::id::TaskId;
use crate::domain::task::Task;
use crate::store::Copied;

/// Tasks that stay in memory, in bytes. Most hubs have fewer.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// Bytes written to a file at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What has been copied so far.
#[derive(Debug)]
pub(super) struct SnapshotCopy {
    directory: DataDir,
    /// The rows that are not in the file, in order.
    tasks: Vec<Task>,
    /// About how many bytes `tasks` takes.
    bytes: usize,
    /// The rows before `tasks`, in order.
    rows: Option<Records>,
    corrections: Option<Records>,
    corrected: HashMap<TaskId, Option<Place>>,
}

/// Where a correction is, and where its task belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    created_at: Timestamp,
    offset: u64,
    length: u32,
}

/// Tasks in an unnamed file, each after its length.
#[derive(Debug)]
struct Records {
    file: BufWriter<File>,
    /// Bytes written.
    end: u64,
    count: u64,
}

impl SnapshotCopy {
    pub fn new(directory: DataDir) -> Self {
        Self {
            directory,
            tasks: Vec::new(),
            bytes: 0,
            rows: None,
            corrections: None,
            corrected: HashMap::new(),
        }
    }

    /// # Errors
    /// When a file cannot be written.
    pub fn take(&mut self, copied: Copied) -> io::Result<()> {
        match copied {
            Copied::Task(task) => {
                self.bytes += task.weight();
                self.tasks.push(*task);
                if self.bytes > MEMORY_BYTES_MAX {
                    let rows = Records::in_place(&mut self.rows, &self.directory)?;
                    for task in self.tasks.drain(..) {
                        rows.append(&task)?;
                    }
                    self.bytes = 0;
                }
            }
            Copied::Correction(id, None) => {
                self.corrected.insert(id, None);
            }
            Copied::Correction(id, Some(task)) => {
                let corrections = Records::in_place(&mut self.corrections, &self.directory)?;
                let (offset, length) = corrections.append(&task)?;
                self.corrected.insert(id, Some(Place { created_at: task.created_at, offset, length }));
            }
            Copied::Restart => *self = Self::new(self.directory.clone()),
        }
        Ok(())
    }

    /// Whether no file was needed.
    pub fn is_small(&self) -> bool {
        self.rows.is_none()
    }

    /// Hands out every task once, as it is in the end, in the order of creation.
    ///
    /// # Errors
    /// The error of `push`, and when a file cannot be read.
    pub fn merge<E: From<io::Error>>(self, mut push: impl FnMut(Task) -> Result<(), E>) -> Result<(), E> {
        let Self { tasks, rows, corrections, corrected, .. } = self;
        let corrections = corrections.map(Records::finish).transpose()?;
        let mut places: Vec<_> = corrected
            .iter()
            .filter_map(|(&id, place)| place.map(|place| (place.created_at, id, place)))
            .collect();
        places.sort_unstable_by_key(|&(created_at, id, _)| (created_at, id));
        let mut places = places.into_iter().peekable();
        let read = |place: Place| -> io::Result<Task> {
            let mut bytes = vec![0; place.length as usize];
            let (file, _) = corrections.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.read_exact_at(&mut bytes, place.offset)?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        let mut next = |task: Task| -> Result<(), E> {
            let key = (task.created_at, task.id);
            while let Some((_, _, place)) = places.next_if(|&(created_at, id, _)| (created_at, id) <= key) {
                push(read(place)?)?;
            }
            match corrected.contains_key(&task.id) {
                true => Ok(()),
                false => push(task),
            }
        };
        if let Some((mut file, count)) = rows.map(Records::finish).transpose()? {
            file.rewind()?;
            let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
            let mut bytes = Vec::new();
            for _ in 0..count {
                let mut length = [0; 4];
                file.read_exact(&mut length)?;
                bytes.resize(u32::from_le_bytes(length) as usize, 0);
                file.read_exact(&mut bytes)?;
                next(serde_json::from_slice(&bytes).map_err(io::Error::from)?)?;
            }
        }
        tasks.into_iter().try_for_each(&mut next)?;
        places.try_for_each(|(_, _, place)| push(read(place)?))
    }
}

impl Records {
    fn in_place<'a>(place: &'a mut Option<Self>, directory: &DataDir) -> io::Result<&'a mut Self> {
        if place.is_none() {
            let file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&**directory)?);
            *place = Some(Self { file, end: 0, count: 0 });
        }
        Ok(place.as_mut().expect("it was made just now"))
    }

    /// Answers where the task is and how long.
    fn append(&mut self, task: &Task) -> io::Result<(u64, u32)> {
        let bytes = serde_json::to_vec(task)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&bytes)?;
        let offset = self.end + 4;
        self.end = offset + u64::from(length);
        self.count += 1;
        Ok((offset, length))
    }

    /// The written file, and how many tasks it has.
    fn finish(self) -> io::Result<(File, u64)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn task(number: i64, description_bytes: usize) -> Task {
        let fields = json!({ "title": format!("{number}"), "description": "x".repeat(description_bytes) });
        let draft = serde_json::from_value(fields).expect("a draft");
        // Some are of the same millisecond.
        Task::create(TaskId::generate(), number, draft, Timestamp::from_ms(number / 3)).expect("a task")
    }

    #[test]
    fn a_correction_takes_the_place_of_its_row_in_memory_and_in_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        for (description_bytes, is_small) in [(10, true), (30_000, false)] {
            let mut copy = SnapshotCopy::new(DataDir::open(directory.path()).expect("a directory"));
            copy.take(Copied::Task(task(1, 10).into())).expect("taken");
            copy.take(Copied::Correction(TaskId::generate(), None)).expect("taken");
            copy.take(Copied::Restart).expect("taken");
            let tasks: Vec<_> = (1..=100).map(|number| task(number, description_bytes)).collect();
            let mut wanted: BTreeMap<_, _> =
                tasks.iter().cloned().map(|task| ((task.created_at, task.id), task)).collect();
            // Those that come later, and those that the walk has not seen.
            for task in wanted.values().filter(|task| task.key.number % 10 != 7) {
                copy.take(Copied::Task(task.clone().into())).expect("taken");
            }
            for task in &tasks {
                let key = (task.created_at, task.id);
                let corrections: &[Option<&str>] = match task.key.number % 10 {
                    1 => &[None],
                    2 | 7 => &[Some("changed")],
                    3 => &[Some("changed"), None],
                    4 => &[None, Some("changed"), Some("changed again")],
                    _ => &[],
                };
                for correction in corrections {
                    let changed = correction
                        .map(|title| Task { title: title.parse().expect("a title"), ..task.clone() });
                    match &changed {
                        Some(task) => wanted.insert(key, task.clone()),
                        None => wanted.remove(&key),
                    };
                    copy.take(Copied::Correction(task.id, changed.map(Box::new))).expect("taken");
                }
            }
            assert_eq!(copy.is_small(), is_small);
            let mut merged = Vec::new();
            let push = |task| -> io::Result<()> {
                merged.push(task);
                Ok(())
            };
            copy.merge(push).expect("read");
            assert_eq!(merged, wanted.into_values().collect::<Vec<_>>());
        }
    }
}
