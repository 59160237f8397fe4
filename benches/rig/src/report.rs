//! What was measured, repetition by repetition: shown as tables of medians with their spread, and as JSON.

use std::fmt;

use serde_json::{Value, json};

use crate::figures::{Table, plain};

/// The figures of one repetition. A name carries its unit.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<(String, f64)>);

impl Sample {
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }
}

/// All repetitions of one server.
#[derive(Debug)]
struct Row {
    server: String,
    samples: Vec<Sample>,
    /// Why there are fewer of them than there should be.
    note: Option<String>,
}

impl Row {
    fn values(&self, name: &str) -> Vec<f64> {
        self.samples.iter().filter_map(|sample| value(sample, name)).collect()
    }
}

fn value(sample: &Sample, name: &str) -> Option<f64> {
    sample.0.iter().find(|(it, _)| it == name).map(|(_, value)| *value)
}

/// One scenario over several servers.
#[derive(Debug)]
pub struct Section {
    title: String,
    rows: Vec<Row>,
}

impl Section {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new() }
    }

    fn row(&mut self, server: &str) -> &mut Row {
        let at = self.rows.iter().position(|row| row.server == server).unwrap_or_else(|| {
            self.rows.push(Row { server: server.to_owned(), samples: Vec::new(), note: None });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Keeps a place in the table.
    pub fn expect(&mut self, server: &str) {
        self.row(server);
    }

    /// Adds a repetition.
    pub fn note(&mut self, server: &str, sample: Sample) {
        self.row(server).samples.push(sample);
    }

    /// Says why a server has no figures, or not all.
    pub fn excuse(&mut self, server: &str, why: impl Into<String>) {
        self.row(server).note = Some(why.into());
    }

    /// Sets `figure` of every server in proportion to that of `baseline`, each repetition for itself: what the
    /// machine did meanwhile has hit both.
    pub fn compare(&mut self, figure: &str, baseline: &str) {
        let Some(base) = self.rows.iter().find(|row| row.server == baseline) else {
            return;
        };
        let base = base.values(figure);
        for row in &mut self.rows {
            for (sample, base) in row.samples.iter_mut().zip(&base) {
                if let Some(value) = value(sample, figure) {
                    sample.0.push((format!("{figure} × {baseline}"), value / base));
                }
            }
        }
    }

    /// The names of all figures, in the order of their first appearance.
    fn figures(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.samples).flat_map(|sample| &sample.0) {
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Every value of every figure, with its median and its bounds.
    pub fn json(&self) -> Value {
        let figure = |row: &Row, name: &str| {
            let values = row.values(name);
            let spread = Spread::of(&values)?;
            Some(json!({
                "figure": name, "median": spread.median, "min": spread.least, "max": spread.most, "values": values,
            }))
        };
        let server = |row: &Row| {
            let figures: Vec<_> = self.figures().iter().filter_map(|name| figure(row, name)).collect();
            json!({"server": row.server, "note": row.note, "figures": figures})
        };
        json!({"scenario": self.title, "servers": self.rows.iter().map(server).collect::<Vec<_>>()})
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.figures();
        let mut table = Table::new(std::iter::once(self.title.as_str()).chain(names.iter().copied()));
        for row in &self.rows {
            let cell = |name: &&str| Spread::of(&row.values(name)).map_or(String::new(), |it| it.to_string());
            table.row(std::iter::once(row.server.clone()).chain(names.iter().map(cell)));
        }
        write!(f, "{table}")?;
        for row in &self.rows {
            if let Some(note) = &row.note {
                writeln!(f, "{}: {note}", row.server)?;
            }
        }
        Ok(())
    }
}

/// A median and what it lies between.
#[derive(Debug)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let middle = |at: usize| values.get(at).copied();
        let median = (middle(values.len().checked_sub(1)? / 2)? + middle(values.len() / 2)?) / 2.0;
        Some(Self { median, least: *values.first()?, most: *values.last()? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (plain(self.least), plain(self.most));
        match least == most {
            true => write!(f, "{most}"),
            false => write!(f, "{} ({least}–{most})", plain(self.median)),
        }
    }
}
